import { describe, expect, inject, it } from 'vitest'
import { takeNotice } from '#src/db/outbox.ts'
import type { Message } from '#src/domain/job.ts'
import { deliverNotice } from '#src/engine/notices.ts'
import { fileEndpoint, filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const there = await fileEndpoint()
const owner = filePool()

/** A channel of that name, told at the path of the same name. */
async function channel(tenant: Tenant, name: string, delayMs = 0): Promise<void> {
  there.on(`/${name}`, async () => {
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    return new Response('ok')
  })
  const body = { name, kind: 'webhook', config: { url: `${there.url}/${name}` } }
  await json(await tenant.fetch('/v1/channels', { method: 'POST', body }), 201)
}

const dividing = (to: string) => `
parameters: { by: { type: integer, default: 0 } }
notify: [{ on: [failed, recovered], to: ${to} }]
steps: [{ id: one, sql: "select 1 / \${params.by} as n", into: ratio_${to}, retry: { attempts: 1 } }]
`
const held = (to: string, rest = '') => `
${rest}
notify: [{ on: [failed, late, warning], to: ${to} }]
steps: [{ id: one, wait: { for: 5h } }]
`

type Told = { type: string; data: { runId: string; kind: string } }
const toldAt = (name: string) => there.at(`/${name}`).map(({ body }) => JSON.parse(body) as Told)
const told = (name: string, count = 1) =>
  until(`${count} notices at ${name}`, async () => toldAt(name).length >= count && toldAt(name))
const leftOf = async (tenant: Pick<Tenant, 'id'>) =>
  (
    await owner.query<{ id: string }>(`select id from outbox where tenant_id = $1 and kind = 'notify'`, [
      tenant.id,
    ])
  ).rows.map(({ id }) => Number(id))

/** Runs a pipeline that fails where no notice is published, and gives what is left in the outbox. */
async function unpublished(tell: (tenant: Tenant, outboxId: number, notices: Message[]) => Promise<void>) {
  const notices: Message[] = []
  const silent = await world((services) => ({
    ...services,
    send: (tenantId, messages) => {
      notices.push(...messages.filter(({ job }) => job === 'notify'))
      return services.send(
        tenantId,
        messages.filter(({ job }) => job !== 'notify'),
      )
    },
  }))
  try {
    const tenant = await silent.tenant()
    const name = `c_${crypto.randomUUID().slice(0, 8)}`
    await channel(tenant, name, 100)
    expect((await finished(tenant, await pipeline(tenant, dividing(name)))).state).toBe('failed')
    await until('the message', async () => notices.length === 1)
    const [outboxId = 0] = await leftOf(tenant)
    await tell(tenant, outboxId, notices)
    await until('the outbox to be empty', async () => (await leftOf(tenant)).length === 0)
    expect(toldAt(name)).toHaveLength(1)
  } finally {
    await silent.close()
  }
}

describe('a notice', () => {
  it('of a run that failed, and of one that works again, is out as soon as the run has ended: no tick sends it', async () => {
    await channel(acme, 'ops')
    const id = await pipeline(acme, dividing('ops'))
    const failed = await finished(acme, id)
    expect(await told('ops')).toMatchObject([{ type: 'alert.failed', data: { runId: failed.id } }])
    const good = await finished(acme, id, { by: 1 })
    expect(await told('ops', 2)).toMatchObject([{}, { type: 'alert.recovered', data: { runId: good.id } }])
    await until('the outbox to be empty', async () => (await leftOf(acme)).length === 0)
    expect(toldAt('ops')).toHaveLength(2)
  })

  it('of a run that somebody marked, or that ended late, is out at once too', async () => {
    await channel(globex, 'marked')
    const marked = await start(globex, await pipeline(globex, held('marked')))
    const late = await start(globex, await pipeline(globex, held('marked', 'sla: { within: 1h }')))
    for (const id of [marked, late])
      await until('the wait', async () => (await readRun(globex, id)).state === 'waiting')
    await owner.query(
      `update runs set created_at = created_at - interval '90 min', sla_at = sla_at - interval '90 min' where id = $1`,
      [late],
    )
    const as = { as: 'failed', reason: 'enough' }
    for (const id of [marked, late]) {
      expect((await globex.fetch(`/v1/runs/${id}/mark`, { method: 'POST', body: as })).status).toBe(200)
      await end(globex, id)
    }
    const all = (await told('marked', 4)).map(({ type, data }) => `${type} ${data.runId === late}`)
    expect(all.toSorted()).toEqual([
      'alert.failed false',
      'alert.failed true',
      'alert.late true',
      'alert.warned true',
    ])
  })

  it('is told once however often its message comes, also at the same moment', async () => {
    await unpublished(async ({ id: tenantId }, outboxId, notices) => {
      expect(notices).toEqual([{ job: 'notify', payload: { tenantId, outboxId } }])
      await Promise.all(Array.from({ length: 6 }, () => deliverNotice(here.services, { tenantId, outboxId })))
      await deliverNotice(here.services, { tenantId, outboxId })
    })
  })

  it('that a dead Worker did not publish, or had taken, is sent by the tick', async () => {
    await unpublished(async ({ id: tenantId }, outboxId) => {
      const db = here.services.database.tenant(tenantId, 'job')
      expect(await takeNotice(db, outboxId, 60_000)).toBeDefined()
      await deliverNotice(here.services, { tenantId, outboxId })
      expect(await leftOf({ id: tenantId })).toEqual([outboxId])
      await owner.query(
        `update outbox set send_after = now(), taken_until = now() - interval '1 s' where tenant_id = $1`,
        [tenantId],
      )
      await tick(inject('env'), here.url)
    })
  })

  it('is its tenant’s own: nobody else’s message takes it', async () => {
    await unpublished(async ({ id: tenantId }, outboxId) => {
      await deliverNotice(here.services, { tenantId: globex.id, outboxId })
      expect(await leftOf({ id: tenantId })).toEqual([outboxId])
      await deliverNotice(here.services, { tenantId, outboxId })
    })
  })
})
