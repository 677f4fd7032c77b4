import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { addUp } from '#src/actions/metering.ts'
import { fileKey } from '#src/connectors/files/key.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { ids } from '#src/domain/id.ts'
import { connect, json, upload } from '#test/support/pipeline.ts'
import { mortal, type Life } from '#test/support/mortal.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let database: OwnDatabase
let owner: pg.Client
let here: World
let acme: Tenant
let connection: string
/** Of the process that answers requests; the tick is another one. */
const life: Life = { calls: Infinity }
let isStorageDown = false

beforeAll(async () => {
  database = await ownDatabase()
  owner = database.owner
  here = await world(
    (services) => {
      const { storage } = services
      const down = () =>
        Promise.reject(new StepFailure('storage_unavailable', 'It does not answer.', { retryable: true }))
      const shaky = {
        ...storage,
        remove: (...of: Parameters<typeof storage.remove>) =>
          isStorageDown ? down() : storage.remove(...of),
      }
      return mortal({ ...services, storage: shaky }, life)
    },
    { ...inject('env'), DATABASE_URL: database.url },
  )
  acme = await here.tenant()
  connection = await connect(acme, 'files')
})
beforeEach(() => {
  life.calls = Infinity
  isStorageDown = false
})
afterAll(async () => {
  await here.close()
  await database.leave()
})

type Entry = { action: string; actor: string; request_id: string | null; details: Record<string, unknown> }
const entriesOf = async (name: string): Promise<Entry[]> =>
  (
    await owner.query<Entry>(
      `select action, actor, request_id, details from audit_entries
       where tenant_id = $1 and target_kind = 'file' and target_name = $2 order by id`,
      [acme.id, name],
    )
  ).rows
const actionsOf = async (name: string) => (await entriesOf(name)).map(({ action }) => action)
const path = (name = '') => `/v1/connections/${connection}/files${name === '' ? '' : `/${name}`}`
const remove = (name: string) => acme.fetch(path(name), { method: 'DELETE' })
type To = { url: string; method: string; headers: Record<string, string> }
const ask = (name: string, bytes = 4) => acme.fetch(path(), { method: 'POST', body: { name, bytes } })
const put = async (to: To, body: string) =>
  expect((await fetch(to.url, { method: to.method, headers: to.headers, body })).status).toBe(200)
const addressFor = async (name: string, bytes = 4) =>
  (await json<{ upload: To }>(await ask(name, bytes), 201)).upload
const isStored = async (name: string) => {
  life.calls = Infinity
  return (
    (await here.services.storage.head(fileKey(acme.id, ids.connection.parse(connection), name))) !== undefined
  )
}
const known = async (name: string) =>
  (await owner.query('select * from stored_files where tenant_id = $1 and name = $2', [acme.id, name]))
    .rows[0]

/** As if so many minutes had gone by for everything that is open. */
const later = (minutes: number) =>
  owner.query(
    `update stored_files set promised_at = promised_at - make_interval(mins => $1), asked_at = asked_at - make_interval(mins => $1),
       removing_at = removing_at - make_interval(mins => $1)`,
    [minutes],
  )
const tick = async (minutes: number) => {
  life.calls = Infinity
  await later(minutes)
  await addUp(here.services)
}

describe('an upload', () => {
  it('is in the log before there is an address for it, and what came of it afterwards', async () => {
    const to = await addressFor('new.csv')
    expect(await actionsOf('new.csv')).toEqual(['file.upload'])
    await put(to, 'a\n1\n')
    await tick(25)
    await tick(60)
    await tick(60 * 24)
    const entries = await entriesOf('new.csv')
    expect(entries).toMatchObject([
      { action: 'file.upload', details: { bytes: 4 } },
      { action: 'file.stored', actor: 'job:tick', details: { bytes: 4, changedAt: expect.any(String) } },
    ])
    expect(entries[0]?.actor).toMatch(/^key_/)
    expect(await known('new.csv')).toMatchObject({ bytes: '4', promised_at: null })
  })

  it('whose process dies anywhere leaves an entry wherever there is an address', async () => {
    const seen = new Set<string>()
    for (let calls = 0; calls < 20; calls++) {
      const name = `dying-${calls}.csv`
      life.calls = calls
      const answer = await ask(name)
      life.calls = Infinity
      const actions = await actionsOf(name)
      seen.add(`${answer.status === 201} ${actions.join()}`)
      expect(await known(name).then((row) => row !== undefined)).toBe(actions.includes('file.upload'))
      if (answer.status === 201) break
    }
    // Dead before, dead between the entry and the address, and alive.
    expect([...seen].sort()).toEqual(['false ', 'false file.upload', 'true file.upload'])
  })

  it('that never comes lapses after a day, and one that comes late is found', async () => {
    await addressFor('never.csv')
    const late = await addressFor('late.csv')
    for (const minutes of [25, 45]) await tick(minutes)
    expect([await actionsOf('never.csv'), await actionsOf('late.csv')]).toEqual([
      ['file.upload'],
      ['file.upload'],
    ])
    // It counts no more, and is still looked for.
    expect(await known('never.csv')).toMatchObject({ bytes: '0', promised_at: expect.any(Date) })
    await put(late, 'a\n1\n')
    await tick(60 * 24)
    expect(await actionsOf('never.csv')).toEqual(['file.upload', 'file.lapsed'])
    expect(await actionsOf('late.csv')).toEqual(['file.upload', 'file.stored'])
    expect(await known('never.csv')).toBeUndefined()
    await tick(60 * 24)
    expect(await actionsOf('never.csv')).toHaveLength(2)
  })

  it('in place of a file that is there is told from that file', async () => {
    const first = await addressFor('twice.csv')
    await put(first, 'a\n1\n')
    await tick(25)
    await addressFor('twice.csv', 6)
    await tick(25)
    expect(await actionsOf('twice.csv')).toEqual(['file.upload', 'file.stored', 'file.upload'])
    expect(await known('twice.csv')).toMatchObject({ bytes: '4' })
    await tick(60)
    await tick(60 * 24)
    expect((await actionsOf('twice.csv')).slice(2)).toEqual(['file.upload', 'file.lapsed'])
    await put(await addressFor('twice.csv', 6), 'a\n1\n2\n')
    await tick(25)
    expect((await entriesOf('twice.csv')).at(-1)).toMatchObject({
      action: 'file.stored',
      details: { bytes: 6 },
    })
  })
})

describe('a deletion', () => {
  it('is in the log before and after, both of one request', async () => {
    await upload(acme, connection, 'plain.csv', 'a\n1\n')
    expect((await remove('plain.csv')).status).toBe(204)
    const [, asked, done] = await entriesOf('plain.csv')
    expect([asked?.action, done?.action]).toEqual(['file.delete', 'file.deleted'])
    expect(done).toMatchObject({ actor: asked?.actor, request_id: asked?.request_id })
  })

  it('whose process dies anywhere is never missing from the log, and is finished by the tick', async () => {
    const seen = new Set<string>()
    for (let calls = 0; calls < 20; calls++) {
      const name = `removed-${calls}.csv`
      await upload(acme, connection, name, 'a\n1\n')
      life.calls = calls
      const { status } = await remove(name)
      const stored = await isStored(name)
      const actions = (await actionsOf(name)).slice(1)
      seen.add(`${stored ? 'there' : 'gone'} ${actions.join()}`)
      if (!stored) expect(actions).toContain('file.delete')
      if (actions.includes('file.deleted')) expect(stored).toBe(false)
      await tick(6)
      await tick(6)
      const begun = actions.includes('file.delete')
      expect(await isStored(name)).toBe(!begun)
      expect((await actionsOf(name)).slice(1)).toEqual(begun ? ['file.delete', 'file.deleted'] : [])
      if (status === 204 && actions.length === 2) break
    }
    expect([...seen].sort()).toEqual([
      'gone file.delete',
      'gone file.delete,file.deleted',
      'there ',
      'there file.delete',
    ])
  })

  it('is finished by the tick whenever that dies, once', async () => {
    for (let calls = 0; calls < 8; calls++) {
      const name = `ticked-${calls}.csv`
      await upload(acme, connection, name, 'a\n1\n')
      isStorageDown = true
      expect((await remove(name)).status).toBe(503)
      isStorageDown = false
      await later(6)
      life.calls = calls
      await addUp(here.services).catch(() => undefined)
      if (!(await isStored(name))) expect(await actionsOf(name)).toContain('file.delete')
      await tick(6)
      expect((await entriesOf(name)).slice(1)).toMatchObject([
        { action: 'file.delete', actor: expect.stringMatching(/^key_/) },
        { action: 'file.deleted', actor: 'job:tick' },
      ])
      expect(await isStored(name)).toBe(false)
    }
  })

  it('that the storage does not do now is done later, and nothing of its name is taken meanwhile', async () => {
    await upload(acme, connection, 'slow.csv', 'a\n1\n')
    isStorageDown = true
    expect((await remove('slow.csv')).status).toBe(503)
    await tick(6)
    expect(await isStored('slow.csv')).toBe(true)
    expect((await ask('slow.csv')).status).toBe(409)
    isStorageDown = false
    await tick(6)
    expect(await isStored('slow.csv')).toBe(false)
    expect((await actionsOf('slow.csv')).slice(1)).toEqual(['file.delete', 'file.deleted'])
    expect((await ask('slow.csv')).status).toBe(201)
  })

  it('leaves what an earlier address still lets in to be found', async () => {
    const to = await addressFor('again.csv')
    await put(to, 'a\n1\n')
    expect((await remove('again.csv')).status).toBe(204)
    await put(to, 'a\n1\n')
    await tick(25)
    expect(await actionsOf('again.csv')).toEqual([
      'file.upload',
      'file.delete',
      'file.deleted',
      'file.stored',
    ])
    expect(await known('again.csv')).toMatchObject({ bytes: '4' })
  })
})
