import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { tick } from '#src/actions/tick.ts'
import { newId } from '#src/domain/id.ts'
import { keyFor, madeUp, paths, problem } from '#test/support/answers.ts'
import { end, finished, json, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let globex: Tenant
let owner: pg.Client
beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  ;[here] = await Promise.all([world(), owner.connect()])
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
})
afterAll(() => Promise.all([here.close(), owner.end()]))

type Alert = { id: string; kind: string; state: string; runId?: string; pipelineId: string; detail: object }
type Page = { items: Alert[]; nextCursor?: string }
const alerts = async (query = '', tenant = acme): Promise<Page> =>
  json<Page>(await tenant.fetch(`/v1/alerts${query}`), 200)

const failing = (ratio: string) =>
  `parameters: { by: { type: integer, default: 0 } }
steps: [{ id: one, sql: "select 1 / \${params.by} as n", into: ${ratio}, retry: { attempts: 1 } }]
`

describe('alerts', () => {
  it('tell of a failure and of its end, and are resolved by it', async () => {
    const pipelineId = await pipeline(acme, failing('ratio'))
    const failed = await finished(acme, pipelineId)
    const [alert] = (await alerts()).items
    expect(alert).toMatchObject({
      id: expect.stringMatching(/^alr_/),
      kind: 'failed',
      state: 'open',
      runId: failed.id,
      pipelineId,
      detail: { step: 'one', code: 'sql_failed', message: expect.stringContaining('division by zero') },
    })
    const good = await finished(acme, pipelineId, { by: 1 })
    const { items } = await alerts(`?pipelineId=${pipelineId}`)
    expect(items.map(({ kind, state, runId }) => [kind, state, runId])).toEqual([
      ['recovered', 'resolved', good.id],
      ['failed', 'resolved', failed.id],
    ])
  })

  it('are listed newest first, a page at a time, by state, kind, pipeline and run', async () => {
    const tenant = await here.tenant()
    const [one, two] = [await pipeline(tenant, failing('r1')), await pipeline(tenant, failing('r2'))]
    const runs: string[] = []
    for (const id of [one, two, one]) runs.push((await finished(tenant, id)).id)
    const told = async (query: string) =>
      (await alerts(query, tenant)).items.map(({ runId }) => runs.indexOf(runId ?? ''))
    expect(await told('')).toEqual([2, 1, 0])
    expect(await told('?state=open&kind=failed')).toEqual([2, 1, 0])
    expect(await told('?state=resolved')).toEqual([])
    expect(await told('?kind=late')).toEqual([])
    expect(await told(`?pipelineId=${one}`)).toEqual([2, 0])
    expect(await told(`?runId=${runs[1]}`)).toEqual([1])
    const { items, nextCursor } = await alerts('?limit=2', tenant)
    expect(items).toHaveLength(2)
    expect(await told(`?limit=2&cursor=${nextCursor}`)).toEqual([0])
    expect(await paths(await tenant.fetch(`/v1/alerts?state=open&cursor=${nextCursor}`), 400)).toEqual([
      'cursor',
    ])
    for (const query of ['kind=loud', 'state=x', 'runId=1', 'after=1'])
      await problem(await tenant.fetch(`/v1/alerts?${query}`), 400)
  })

  it('are resolved once, by whom it says', async () => {
    await finished(acme, await pipeline(acme, failing('resolved_by_hand')))
    const [alert] = (await alerts('?state=open')).items
    const resolve = (tenant = acme) => tenant.fetch(`/v1/alerts/${alert?.id}/resolve`, { method: 'POST' })
    await problem(await resolve(globex), 404)
    const first = await json<Alert & { resolvedAt: string; resolvedBy: string }>(await resolve(), 200)
    expect(first).toMatchObject({ state: 'resolved', resolvedBy: expect.stringMatching(/^key_/) })
    expect(await json(await resolve(), 200)).toEqual(first)
    expect((await alerts('?state=open')).items.map(({ id }) => id)).not.toContain(alert?.id)
  })

  it('are the tenant’s own, and need the permissions of runs', async () => {
    const [alert] = (await alerts()).items
    const id = alert?.id ?? ''
    expect(await alerts('', globex)).toEqual({ items: [] })
    const own = await problem(await acme.fetch(`/v1/alerts/${madeUp(id)}/resolve`, { method: 'POST' }), 404)
    const theirs = await problem(await globex.fetch(`/v1/alerts/${id}/resolve`, { method: 'POST' }), 404)
    expect(own.detail).toBe(theirs.detail)
    const [reader, writer] = [await keyFor(acme, ['runs:read']), await keyFor(acme, ['runs:write'])]
    expect((await reader('/v1/alerts')).status).toBe(200)
    await problem(await writer('/v1/alerts'), 403)
    await problem(await reader(`/v1/alerts/${newId('alert')}/resolve`, { method: 'POST' }), 403)
    expect((await writer(`/v1/alerts/${id}/resolve`, { method: 'POST' })).status).toBe(200)
  })
})

describe('a tick', () => {
  it('says that a run is late, as its pinned definition has it', async () => {
    const pipelineId = await pipeline(acme, 'sla: { within: 1h }\nsteps: [{ id: long, wait: { for: 5h } }]\n')
    const id = await start(acme, pipelineId)
    await until('the wait', async () => (await readRun(acme, id)).state === 'waiting')
    await tick(here.services)
    expect((await alerts(`?runId=${id}`)).items).toEqual([])
    await owner.query(
      `update runs set created_at = created_at - interval '2 h', sla_at = sla_at - interval '2 h' where id = $1`,
      [id],
    )
    await Promise.all([tick(here.services), tick(here.services)])
    const open = (await alerts(`?runId=${id}`)).items.map(({ kind, state }) => `${kind} ${state}`)
    // All of them were raised in one millisecond, so their ids are in no order.
    expect(open.toSorted()).toEqual(['escalated open', 'late open', 'warned open'])
    await acme.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })
    expect((await end(acme, id)).state).toBe('cancelled')
    expect((await alerts(`?runId=${id}&state=open`)).items).toEqual([])
  })

  it('forgets what is too old, in each tenant what that one no longer keeps', async () => {
    const one = 'steps: [{ id: one, wait: { for: 0s } }]\n'
    const [ours, theirs] = [
      await finished(acme, await pipeline(acme, one)),
      await finished(globex, await pipeline(globex, one)),
    ]
    const keep = (tenant: Tenant, retentionDays: number | null) =>
      tenant.fetch('/v1/tenant', { method: 'PATCH', body: { retentionDays } })
    expect(await json(await keep(globex, 60), 200)).toEqual({ id: globex.id, retentionDays: 60 })
    expect((await keep(acme, 10)).status).toBe(200)
    await owner.query(`update runs set finished_at = finished_at - interval '30 days' where id in ($1, $2)`, [
      ours.id,
      theirs.id,
    ])
    await until('the run to be forgotten', async () => {
      await owner.query('update tenants set forgotten_at = null where tenant_id in ($1, $2)', [
        acme.id,
        globex.id,
      ])
      await tick(here.services)
      return (await acme.fetch(`/v1/runs/${ours.id}`)).status === 404
    })
    expect((await readRun(globex, theirs.id)).state).toBe('succeeded')
  })
})
