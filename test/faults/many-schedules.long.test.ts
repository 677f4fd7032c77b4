import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { tick } from '#src/actions/tick.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'
import { newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'
import { inject as injectFault } from '#test/support/qstash.ts'
import { plannedSchedule } from '#test/support/trigger-calls.ts'
import { until } from '#test/support/until.ts'
import { world, type World } from '#test/support/world.ts'

let database: OwnDatabase
let here: World
const calls: Message[][] = []
beforeAll(async () => {
  database = await ownDatabase()
  here = await world(
    (services) => ({
      ...services,
      // The runs themselves are not what this is about.
      send: async (tenantId: TenantId, messages: readonly Message[]) => {
        const fires = messages.filter(({ job }) => job === 'fire')
        if (fires.length === 0) return
        calls.push(fires)
        await services.send(tenantId, fires)
      },
    }),
    { ...inject('env'), DATABASE_URL: database.url },
  )
})
afterAll(async () => {
  await here.close()
  await database.leave()
})

const tenants = 10
const each = 100

async function newThousand(): Promise<string[]> {
  const ids: string[] = []
  for (let t = 0; t < tenants; t++) {
    const tenantId = await newBareTenant(database.owner)
    for (let i = 0; i < each; i++) {
      const pipelineId = await plannedPipeline(database.owner, tenantId, [
        { key: 'one', needs: [], when: 'all_success' },
      ])
      const next = new Date('2999-01-01T00:00:00Z')
      ids.push(await plannedSchedule(database.owner, tenantId, pipelineId, { cron: '0 0 1 1 *', next }))
    }
  }
  return ids
}

/** Makes them all due at one second soon to come. */
async function dueSoon(ids: readonly string[]): Promise<Date> {
  const due = new Date((Math.floor(Date.now() / 1_000) + 3) * 1_000)
  await database.owner.query('update schedules set next_fire_at = $2 where id = any($1)', [ids, due])
  return due
}

type Figures = { pipelines: number; runs: number; p50: number; p99: number; max: number }
async function figures(due: Date): Promise<Figures> {
  const { rows } = await database.owner.query<Figures>(
    `select count(distinct pipeline_id)::int as pipelines, count(*)::int as runs,
       coalesce(percentile_cont(0.5) within group (order by late), 0) as p50,
       coalesce(percentile_cont(0.99) within group (order by late), 0) as p99, coalesce(max(late), 0)::float8 as max
     from (select r.pipeline_id, extract(epoch from e.at - r.scheduled_for)::float8 * 1000 as late
       from runs r join run_events e on e.run_id = r.id and e.seq = 1 where r.scheduled_for = $1) r`,
    [due],
  )
  return rows[0] as Figures
}
const fired = (due: Date) =>
  until('a thousand runs', async () => {
    const found = await figures(due)
    return found.runs >= tenants * each && found
  })

it('fires a thousand schedules that are due at once, none twice and none left out', async () => {
  const due = await dueSoon(await newThousand())
  await Promise.all([tick(here.services), tick(here.services)])
  const found = await fired(due)
  expect([found.pipelines, found.runs]).toEqual([1_000, 1_000])
  // Each of the two ticks makes one call, of one message a tenant at most.
  expect(calls.length).toBeLessThanOrEqual(2)
  expect(calls.flat().length).toBeLessThanOrEqual(2 * tenants)
})

it('fires them all, once, when QStash loses some messages and doubles others', async () => {
  const ids = await newThousand()
  const [lost, doubled] = await Promise.all([
    injectFault(inject('env'), here.url, { kind: 'losePublish' }, { every: 3 }),
    injectFault(inject('env'), here.url, { kind: 'duplicate' }, { every: 2 }),
  ])
  const due = await dueSoon(ids)
  await tick(here.services)
  await until('the time to come', async () => Date.now() > due.getTime() + 5_500)
  expect(await lost.struck()).toBeGreaterThan(0)
  expect(await doubled.struck()).toBeGreaterThan(0)
  await Promise.all([lost.undo(), doubled.undo()])
  expect((await figures(due)).runs).toBeLessThan(1_000)
  await database.owner.query("update schedules set announced_at = announced_at - interval '40 s'")
  await tick(here.services)
  const found = await fired(due)
  expect([found.pipelines, found.runs]).toEqual([1_000, 1_000])
})
