import { describe, expect, it } from 'vitest'
import { keepUpAudit } from '#src/actions/audit-upkeep.ts'
import { deliverAuditStream } from '#src/engine/audit-stream.ts'
import type { AuditEntry } from '#src/domain/audit.ts'
import type { Id } from '#src/domain/id.ts'
import { isSignedBy } from '#src/domain/webhook.ts'
import type { Asked } from '#test/support/endpoint.ts'
import { fileDatabase, fileEndpoint, fileWorldOn } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import type { Tenant } from '#test/support/world.ts'

const database = await fileDatabase()
const { owner } = database
const here = await fileWorldOn(database)
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const there = await fileEndpoint()

type StreamJson = {
  id: Id<'auditStream'>
  name: string
  delivered: number
  secret?: string
  failure?: { code: string; attempts: number }
  disabledAt?: string
}
const fresh = () => `s-${crypto.randomUUID().slice(0, 8)}`
const made = async (tenant: Tenant, path: string, more: object = {}) =>
  json<StreamJson>(
    await tenant.fetch('/v1/audit/streams', {
      method: 'POST',
      body: { name: fresh(), url: `${there.url}${path}`, ...more },
    }),
    201,
  )
const read = async (tenant: Tenant, id: string) =>
  json<StreamJson>(await tenant.fetch(`/v1/audit/streams/${id}`), 200)
const note = (tenant: Tenant, action: string, from: number, to: number) =>
  owner.query(
    `select app.note($1, 'usr_x', $2, 'thing', n::text, '{}') from generate_series($3::int, $4::int) n`,
    [tenant.id, action, from, to],
  )
const upkeep = () => keepUpAudit({ ...here.services, send: () => Promise.resolve() })
const deliver = (tenant: Tenant, { id }: { id: Id<'auditStream'> }) =>
  deliverAuditStream(here.services, { tenantId: tenant.id, streamId: id })
const entriesOf = ({ body }: Asked) => (JSON.parse(body) as { data: { entries: AuditEntry[] } }).data.entries
const takes = (path: string, replies: number[] = []) =>
  there.on(path, (_, nth) => new Response(null, { status: replies[nth - 1] ?? 204 }))

describe('a stream of the log', () => {
  it('is made, read, changed and deleted, shows its secret once and is an entry itself', async () => {
    const stream = await made(acme, '/x', { actions: ['pipeline.'] })
    expect(stream.secret).toMatch(/^whsec_/)
    expect(await read(acme, stream.id)).not.toHaveProperty('secret')
    expect((await globex.fetch(`/v1/audit/streams/${stream.id}`)).status).toBe(404)
    const patch = (match: string, body: object) =>
      acme.fetch(`/v1/audit/streams/${stream.id}`, { method: 'PATCH', headers: { 'If-Match': match }, body })
    expect((await patch('"v1"', { name: 'another' })).status).toBe(200)
    expect((await patch('"v1"', { name: 'third' })).status).toBe(412)
    expect((await patch('"v2"', { secret: 'short' })).status).toBe(422)
    expect((await patch('"v2"', { url: 'file:///etc/passwd' })).status).toBe(422)
    expect((await acme.fetch(`/v1/audit/streams/${stream.id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await acme.fetch(`/v1/audit/streams/${stream.id}`)).status).toBe(404)
    const { items } = await json<{ items: AuditEntry[] }>(
      await acme.fetch(`/v1/audit?target=${stream.id}`),
      200,
    )
    expect(items.map(({ action }) => action)).toEqual([
      'audit-stream.delete',
      'audit-stream.update',
      'audit-stream.create',
    ])
    expect(JSON.stringify(items)).not.toContain(stream.secret)
  })

  it('is delivered by the tick: signed, in the order of the chain, in batches, each under one id', async () => {
    takes('/all')
    await upkeep()
    const stream = await made(acme, '/all', { actions: ['many.'] })
    await note(acme, 'few.update', 1, 50)
    await note(acme, 'many.update', 1, 250)
    await note(globex, 'many.update', 900, 950)
    await keepUpAudit(here.services)
    await until('all of it', async () => there.at('/all').flatMap(entriesOf).length >= 250)
    // A batch may come again, under the same id: every tick of every test looks after this stream.
    const once = () => [
      ...new Map(there.at('/all').map((one) => [one.headers.get('webhook-id'), one])).values(),
    ]
    const asked = once()
    const entries = asked.flatMap(entriesOf)
    expect(entries.map(({ targetId }) => Number(targetId))).toEqual(
      Array.from({ length: 250 }, (_, n) => n + 1),
    )
    expect(asked.map((one) => entriesOf(one).length)).toEqual([100, 100, 50])
    expect(entries[0]).toMatchObject({ action: 'many.update', hash: expect.stringMatching(/^[0-9a-f]{64}$/) })
    for (const { headers, body } of asked) {
      const event = {
        id: headers.get('webhook-id') ?? '',
        timestamp: headers.get('webhook-timestamp') ?? '',
        signature: headers.get('webhook-signature') ?? '',
        body,
      }
      expect(await isSignedBy([stream.secret ?? ''], event)).toBe(true)
    }
    await upkeep()
    await deliver(acme, stream)
    expect(once().length).toBe(3)
  })

  it('is tried again with the same batch until that is taken, and goes on after it', async () => {
    takes('/shaky', [204, 500, 503])
    await upkeep()
    const stream = await made(globex, '/shaky', { actions: ['shaky.'] })
    await note(globex, 'shaky.update', 1, 150)
    await upkeep()
    await deliver(globex, stream)
    expect(there.at('/shaky').length).toBe(2)
    expect((await read(globex, stream.id)).failure).toMatchObject({ attempts: 1 })
    const wait = async () =>
      (
        await owner.query<{ s: number }>(
          `select extract(epoch from next_attempt_at - now())::float8 as s from audit_streams where id = $1`,
          [stream.id],
        )
      ).rows[0]?.s
    expect(await wait()).toBeGreaterThan(20)
    await deliver(globex, stream)
    expect(await wait()).toBeGreaterThan(50)
    await deliver(globex, stream)
    const asked = there.at('/shaky')
    expect(asked.map((one) => entriesOf(one).length)).toEqual([100, 50, 50, 50])
    expect(new Set(asked.slice(1).map(({ headers }) => headers.get('webhook-id'))).size).toBe(1)
    const state = await read(globex, stream.id)
    expect(state).not.toHaveProperty('failure')
    expect(
      asked
        .slice(0, 2)
        .flatMap(entriesOf)
        .map(({ targetId }) => Number(targetId)),
    ).toEqual(Array.from({ length: 150 }, (_, n) => n + 1))
  })

  it('ends where its receiver says that it is gone, and goes on when it is changed', async () => {
    takes('/gone', [410])
    await upkeep()
    const stream = await made(acme, '/gone', { actions: ['gone.'] })
    await note(acme, 'gone.update', 1, 3)
    await upkeep()
    await deliver(acme, stream)
    expect(await read(acme, stream.id)).toMatchObject({
      disabledAt: expect.any(String),
      failure: { code: 'gone' },
    })
    await deliver(acme, stream)
    expect(there.at('/gone').length).toBe(1)
    const { items } = await json<{ items: AuditEntry[] }>(
      await acme.fetch(`/v1/audit?target=${stream.id}`),
      200,
    )
    expect(items[0]).toMatchObject({ action: 'audit-stream.disable', actorKind: 'job' })
    const changed = await acme.fetch(`/v1/audit/streams/${stream.id}`, {
      method: 'PATCH',
      headers: { 'If-Match': '*' },
      body: { url: `${there.url}/gone` },
    })
    expect(changed.status).toBe(200)
    await deliver(acme, stream)
    expect(there.at('/gone').flatMap(entriesOf).length).toBe(6)
  })

  it('may begin with the oldest entry', async () => {
    takes('/old')
    await note(acme, 'old.update', 1, 2)
    await upkeep()
    const stream = await made(acme, '/old', { actions: ['old.'], fromBeginning: true })
    await deliver(acme, stream)
    expect(
      there
        .at('/old')
        .flatMap(entriesOf)
        .map(({ targetId }) => targetId),
    ).toEqual(['1', '2'])
  })
})
