import { beforeEach, describe, expect, it } from 'vitest'
import { newId, type PipelineId, type TenantId } from '#src/domain/id.ts'
import { engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { fileDatabase } from '#test/support/per-file.ts'
import { fire, planned, plannedSchedule } from '#test/support/trigger-calls.ts'

const database = await fileDatabase()
const { owner } = database
let tenant: TenantId
let pipeline: PipelineId
let calls: EngineCalls
beforeEach(async () => {
  tenant = await newBareTenant(owner)
  pipeline = await told(['failed', 'succeeded'], 'ops')
  await told(['succeeded'], 'everybody')
  calls = await engineCalls(database.url, tenant)
  return () => calls.end()
})

/** A pipeline whose outcomes of these kinds a channel is told of. */
async function told(on: readonly string[], to: string): Promise<PipelineId> {
  const id = await plannedPipeline(owner, tenant, [{ key: 'a', needs: [], when: 'all_success' }])
  await owner.query(
    `update pipeline_versions set definition = definition || jsonb_build_object('notify', $2::jsonb) where pipeline_id = $1`,
    [id, JSON.stringify([{ on, to }])],
  )
  return id
}

const allow = (quotas: Record<string, number>) =>
  owner.query('update tenants set quotas = $2 where tenant_id = $1', [tenant, JSON.stringify(quotas)])

const tick = async () => {
  await owner.query(`update tenants set metered_at = null where tenant_id = $1`, [tenant])
  await owner.query('select app.add_up_usage(1000)')
}

async function use(runs: number): Promise<void> {
  for (let i = 0; i < runs; i++) await calls.start(pipeline)
  await tick()
}

/** Everything that counts by the month was a month ago. */
async function nextMonth(): Promise<void> {
  await owner.query(`update usage_totals set month = month - interval '1 month' where tenant_id = $1`, [
    tenant,
  ])
  await owner.query(
    `update alerts set period = period - interval '1 month', at = at - interval '1 month' where tenant_id = $1`,
    [tenant],
  )
}

const said = async () =>
  (
    await owner.query<{ said: string }>(
      `select concat_ws(' ', kind, quota, level, state) as said from alerts where tenant_id = $1 order by at, id`,
      [tenant],
    )
  ).rows.map((row) => row.said)

const notices = async () =>
  (
    await owner.query<{ notice: string }>(
      `select payload->>'channel' || ': ' || (payload->>'subject') as notice from outbox
       where tenant_id = $1 and kind = 'notify' order by id`,
      [tenant],
    )
  ).rows.map((row) => row.notice)

const noted = async () =>
  (
    await owner.query<{ entry: string }>(
      `select concat_ws(' ', actor, action, target_id, details->>'used', details->>'limit') as entry
       from audit_entries where tenant_id = $1 and target_kind = 'quota' order by id`,
      [tenant],
    )
  ).rows.map((row) => row.entry)

describe('a quota', () => {
  it('is told of at 80 % and at its end, once each, to the alerts, to who hears of failures, and to the audit log', async () => {
    await allow({ runs: 10 })
    await use(7)
    expect(await said()).toEqual([])
    await use(1)
    await use(1)
    expect(await said()).toEqual(['quota runs 80 open'])
    await use(1)
    await use(3)
    expect(await said()).toEqual(['quota runs 80 open', 'quota runs 100 open'])
    expect(await notices()).toEqual([
      'ops: 80 % of the quota runs are used: 8 of 10',
      'ops: the quota runs is used up: 10 of 10',
    ])
    expect(await noted()).toEqual(['system quota.warn runs 8 10', 'system quota.use_up runs 10 10'])
  })

  it('is told of once by ticks and requests that see it at the same moment', async () => {
    await allow({ runs: 10 })
    for (let i = 0; i < 8; i++) await calls.start(pipeline)
    const others = await Promise.all(Array.from({ length: 6 }, () => engineCalls(database.url, tenant)))
    await Promise.all(
      others.flatMap(({ client }) => [
        client.query('select app.judge_own_quotas()'),
        client.query('select app.add_up_usage(1000)'),
      ]),
    )
    await Promise.all(others.map((one) => one.end()))
    expect(await said()).toEqual(['quota runs 80 open'])
    expect(await notices()).toHaveLength(1)
    expect(await noted()).toHaveLength(1)
  })

  it('is told of anew in the next month, when it is used so far again', async () => {
    await allow({ runs: 5 })
    await use(4)
    await nextMonth()
    await tick()
    expect(await said()).toEqual(['quota runs 80 resolved'])
    await use(3)
    expect(await said()).toEqual(['quota runs 80 resolved'])
    await use(1)
    expect(await said()).toEqual(['quota runs 80 resolved', 'quota runs 80 open'])
    expect(await notices()).toHaveLength(2)
  })

  it('that comes to its end at once is told of once', async () => {
    await allow({ runs: 5 })
    await use(5)
    expect(await said()).toEqual(['quota runs 100 open'])
    await allow({ runs: 6 })
    await tick()
    expect(await said()).toEqual(['quota runs 100 resolved'])
    expect(await notices()).toHaveLength(1)
  })

  it('which no month ends is not told of again before it was untrue', async () => {
    const join = (user: string) =>
      owner.query(
        `with one as (insert into users (id, email, password_hash) values ($2, $2 || '@example.com', 'x') returning id)
         insert into memberships (tenant_id, user_id, role) select $1, id, 'viewer' from one`,
        [tenant, user],
      )
    await allow({ members: 5 })
    const people = Array.from({ length: 4 }, () => newId('user'))
    for (const person of people) await join(person)
    await tick()
    await nextMonth()
    await tick()
    expect(await said()).toEqual(['quota members 80 open'])
    await owner.query('delete from memberships where tenant_id = $1 and user_id = $2', [tenant, people[0]])
    await tick()
    expect(await said()).toEqual(['quota members 80 resolved'])
    await join(newId('user'))
    await tick()
    expect(await said()).toEqual(['quota members 80 resolved', 'quota members 80 open'])
  })

  it('of another tenant, or that nothing bounds, is not told of', async () => {
    const other = await newBareTenant(owner)
    await owner.query(`update tenants set quotas = '{"runs": 1}' where tenant_id = $1`, [other])
    await use(5)
    expect(await said()).toEqual([])
    expect((await owner.query('select from alerts where tenant_id = $1', [other])).rowCount).toBe(0)
  })

  it('keeps this month what it has told of, however soon the tenant forgets', async () => {
    await allow({ runs: 5 })
    await use(4)
    await owner.query(`update tenants set retention_days = 1 where tenant_id = $1`, [tenant])
    await owner.query(
      `update alerts set at = greatest(at - interval '3 days', date_trunc('month', now() at time zone 'utc') at time zone 'utc'),
         state = 'resolved' where tenant_id = $1`,
      [tenant],
    )
    await owner.query('select app.forget_runs($1, 10)', [tenant])
    await use(0)
    expect(await said()).toEqual(['quota runs 80 resolved'])
    await nextMonth()
    await owner.query('select app.forget_runs($1, 10)', [tenant])
    expect(await said()).toEqual([])
  })
})

describe('a start that a quota refuses', () => {
  const times = (count: number) =>
    Array.from({ length: count }, (_, n) => new Date(Date.now() - 60_000 + n * 1_000).toISOString())

  it('by a schedule is counted in one alert a pipeline and month, and told once', async () => {
    await allow({ runs: 0 })
    const late = await told(['late'], 'ops')
    for (let round = 0; round < 2; round++) {
      const schedule = await plannedSchedule(owner, tenant, late, { next: new Date(Date.now() - 60_000) })
      const due = await planned(owner, schedule, new Date())
      if (!due) throw new Error('nothing is due')
      await fire(calls, [{ ...due, times: times(2) }])
      await tick()
    }
    const { rows } = await owner.query(
      `select pipeline_id, quota, detail - 'lastAt' as detail from alerts where tenant_id = $1 and kind = 'refused'`,
      [tenant],
    )
    expect(rows).toEqual([
      { pipeline_id: late, quota: 'runs', detail: { quota: 'runs', refused: 4, triggers: { schedule: 4 } } },
    ])
    expect(await notices()).toEqual([
      expect.stringMatching(/^ops: p-.*: it cannot start, the quota runs is used up$/),
    ])
    await allow({ runs: 3 })
    await tick()
    expect(await said()).toEqual(['refused runs 0 resolved'])
  })

  it('by an event or a backfill is told of as well, and one by hand only to who asked', async () => {
    await allow({ runs: 0 })
    await calls.start(pipeline)
    await tick()
    expect(await said()).toEqual([])
    const trigger = newId('trigger')
    await owner.query(
      `insert into triggers (tenant_id, id, pipeline_id, key, kind, definition) values ($1, $2, $3, $2, 'webhook', '{}')`,
      [tenant, trigger, pipeline],
    )
    await calls.client.query(
      `select app.receive_event($1, 'w', 'h', '{"parameters": {}, "checkedFor": 1}')`,
      [trigger],
    )
    await calls.client.query(`select app.start_backfill($1, $2, 1, '{}', '{}', $3, 1, false)`, [
      newId('backfill'),
      pipeline,
      times(1),
    ])
    await tick()
    const { rows } = await owner.query(`select detail->'triggers' as by from alerts where tenant_id = $1`, [
      tenant,
    ])
    expect(rows).toEqual([{ by: { event: 1, backfill: 1 } }])
  })
})
