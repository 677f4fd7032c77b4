import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { freePort } from '#local/ports.ts'
import { problem } from '#test/support/answers.ts'
import { connect, json, upload } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let walled: World
let acme: Tenant
/** Everything that the API and the log of this file's worlds said. */
const said: string[] = []

beforeAll(async () => {
  const log = (line: Record<string, unknown>) => void said.push(JSON.stringify(line))
  ;[here, walled] = await Promise.all([
    world((services) => ({ ...services, log })),
    world((services) => ({ ...services, log, allowPrivateHosts: false })),
  ])
  acme = listened(await here.tenant())
})
afterAll(() => Promise.all([here.close(), walled.close()]))

function listened(tenant: Tenant): Tenant {
  return {
    ...tenant,
    async fetch(path, init) {
      const answer = await tenant.fetch(path, init)
      said.push(JSON.stringify([...answer.headers]), await answer.clone().text())
      return answer
    },
  }
}

const check = async (tenant: Tenant, id: string) =>
  json<{ ok: boolean; code?: string; detail: string }>(
    await tenant.fetch(`/v1/connections/${id}/check`, { method: 'POST' }),
    200,
  )

describe('checking a connection', () => {
  it('says what was found', async () => {
    const found = await check(acme, await connect(acme, 'postgres', 'good'))
    expect(found).toMatchObject({ ok: true, detail: expect.stringContaining('PostgreSQL') })
    const files = await connect(acme, 'files', 'files')
    expect(await check(acme, files)).toEqual({ ok: true, detail: '0 files.' })
  })

  it('says what is wrong, with the name of the connection and never its secret', async () => {
    const server = inject('warehouse')
    const wrong = { ...server, password: `hunter2-${crypto.randomUUID()}` }
    const closed = { ...wrong, port: await freePort() }
    const answers = [
      await check(acme, await connect(acme, 'postgres', 'wrong-password', wrong)),
      await check(acme, await connect(acme, 'postgres', 'closed', closed)),
      await check(acme, await connect(acme, 'postgres', 'nowhere', { ...wrong, host: 'nowhere.invalid' })),
      await check(acme, await connect(acme, 'postgres', 'no-database', { ...server, database: 'absent' })),
    ]
    expect(answers.map(({ ok, code }) => [ok, code])).toEqual([
      [false, 'wrong_password'],
      [false, 'connection_refused'],
      [false, 'unknown_host'],
      [false, 'unknown_database'],
    ])
    expect(answers[0]?.detail).toContain('"wrong-password"')
    const text = said.join('\n')
    expect(text).toContain('wrong-password')
    expect(text).not.toContain(wrong.password)
    expect(text).not.toContain(server.password)
  })

  it('does not reach into the private network', async () => {
    const tenant = listened(await walled.tenant())
    for (const host of ['127.0.0.1', 'localhost', '169.254.169.254', '[::1]', '2130706433']) {
      const name = `in-${host.replaceAll(/[^a-z0-9]/g, '-')}`
      const found = await check(
        tenant,
        await connect(tenant, 'postgres', name, { ...inject('warehouse'), host }),
      )
      expect([host, found.ok, found.code]).toEqual([host, false, 'private_address'])
    }
    const private_ = await connect(tenant, 'postgres', 'private')
    expect(await check(tenant, private_)).toMatchObject({ ok: false, code: 'private_address' })
    const streams = await problem(await tenant.fetch(`/v1/connections/${private_}/streams`), 422)
    expect(streams.detail).toContain('"private"')
  })
})

describe('the streams of a connection', () => {
  it('are the tables of a database and the files of a folder, with their columns', async () => {
    type Streams = { items: { name: string; columns: { name: string; type: string }[] }[] }
    const files = await connect(acme, 'files', 'folder')
    await upload(acme, files, 'a.csv', 'id,when\n1,2024-01-31\n')
    const inFolder = await json<Streams>(await acme.fetch(`/v1/connections/${files}/streams`), 200)
    expect(inFolder.items).toMatchObject([
      { name: 'a.csv', columns: [{ name: 'id' }, { name: 'when', type: 'date' }] },
    ])
    const database = await connect(acme, 'postgres', 'tables')
    const tables = await acme.fetch(`/v1/connections/${database}/streams`)
    expect(Array.isArray((await json<Streams>(tables, 200)).items)).toBe(true)
  })

  it('of a server that cannot be entered are a refusal that names the connection', async () => {
    const wrong = { ...inject('warehouse'), password: 'no' }
    const id = await connect(acme, 'postgres', 'shut', wrong)
    const refusal = await problem(await acme.fetch(`/v1/connections/${id}/streams`), 422)
    expect(refusal.detail).toContain('Connection "shut"')
  })
})
