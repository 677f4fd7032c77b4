import { describe, expect, it } from 'vitest'
import type { PipelineId, RunId } from '#src/domain/id.ts'
import { newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const calls = await fileCalls(database, tenantId)
const others = await fileCalls(database, tenantId)

const minuteMs = 60_000
const one = [{ key: 'a', needs: [], when: 'all_success' as const }]

/** A pipeline whose pinned definition says these things, too. */
async function withDefinition(more: Record<string, unknown>): Promise<PipelineId> {
  const id = await plannedPipeline(owner, tenantId, one)
  await owner.query('update pipeline_versions set definition = definition || $2 where pipeline_id = $1', [
    id,
    JSON.stringify(more),
  ])
  return id
}

const hourly = {
  sla: { withinMs: 60 * minuteMs },
  notify: [
    { on: ['late', 'failed', 'recovered'], to: 'ops' },
    { on: ['late', 'warning'], to: 'ops' },
    { on: ['warning'], to: 'dev' },
  ],
}

/** Lets the run be older by so much, as it is to whoever looks at the clock. */
async function age(runId: RunId, ms: number): Promise<void> {
  await owner.query(
    `update runs set created_at = created_at - $2 * interval '1 ms', scheduled_for = scheduled_for - $2 * interval '1 ms',
       sla_at = sla_at - $2 * interval '1 ms' where id = $1`,
    [runId, ms],
  )
}

const look = () => calls.client.query(`select app.look_for_lateness(100, interval '5 min')`)

async function alertsOf(runId: RunId): Promise<string[]> {
  const { rows } = await owner.query<{ said: string }>(
    `select kind || case when level > 0 then level::text else '' end || ' ' || state as said from alerts where run_id = $1 order by at`,
    [runId],
  )
  return rows.map(({ said }) => said)
}

type Notice = { channel: string; subject: string; body: Record<string, unknown>; alertId?: string }
async function notices(runId: string): Promise<Notice[]> {
  const { rows } = await owner.query<{ payload: Notice }>(
    `select payload from outbox where kind = 'notify' and payload->'body'->>'runId' = $1 order by id`,
    [runId],
  )
  return rows.map(({ payload }) => payload)
}
const told = async (runId: RunId) =>
  (await notices(runId)).map(({ channel, body }) => `${[body['kind'], body['level']].join('')} ${channel}`)

async function finish(runId: RunId, state: 'succeeded' | 'failed', by = calls): Promise<void> {
  const claim = await by.claim(runId, null, `msg_${runId}`)
  if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
  const error = { code: 'x', message: 'It broke.' }
  await by.complete(runId, claim.step, state === 'failed' ? { state, error } : { state }, `msg_${runId}`)
}

describe('a run that may take an hour', () => {
  it('is warned of at 80 %, late at 100 %, and escalated at each further 100 % three times', async () => {
    const runId = await calls.start(await withDefinition(hourly))
    const after = async (ms: number) => {
      await age(runId, ms)
      await look()
      await look()
      return (await alertsOf(runId)).at(-1)
    }
    expect(await after(47 * minuteMs)).toBeUndefined()
    expect(await after(2 * minuteMs)).toBe('warned open')
    expect(await after(10 * minuteMs)).toBe('warned open')
    expect(await after(2 * minuteMs)).toBe('late open')
    expect(await after(60 * minuteMs)).toBe('escalated1 open')
    expect(await after(60 * minuteMs)).toBe('escalated2 open')
    expect(await after(60 * minuteMs)).toBe('escalated3 open')
    expect(await after(60 * minuteMs)).toBe('escalated3 open')
    await age(runId, 600 * minuteMs)
    await look()
    expect(await alertsOf(runId)).toHaveLength(5)
    expect(await told(runId)).toEqual([
      'warned dev',
      'warned ops',
      'late ops',
      'escalated1 ops',
      'escalated2 ops',
      'escalated3 ops',
    ])
    await finish(runId, 'succeeded')
    expect(await alertsOf(runId)).toEqual([
      'warned resolved',
      'late resolved',
      'escalated1 resolved',
      'escalated2 resolved',
      'escalated3 resolved',
    ])
  })

  it('is said to be late when it ends, where no tick came before', async () => {
    const runId = await calls.start(await withDefinition(hourly))
    await age(runId, 61 * minuteMs)
    await finish(runId, 'succeeded')
    await look()
    expect(await alertsOf(runId)).toEqual(['warned resolved', 'late resolved'])
    expect(await told(runId)).toEqual(['warned dev', 'warned ops', 'late ops'])
  })

  it('has nothing said of it when it ends in time, nor afterwards', async () => {
    const runId = await calls.start(await withDefinition(hourly))
    await finish(runId, 'succeeded')
    await age(runId, 500 * minuteMs)
    await look()
    expect([await alertsOf(runId), await told(runId)]).toEqual([[], []])
  })

  it('has its time counted from what it stands for, but for those that make up for the past', async () => {
    const pipelineId = await withDefinition(hourly)
    const started = async (trigger: string) => {
      const runId = `run_${crypto.randomUUID()}` as RunId
      await calls.client.query('select app.start_run($1, $2, $3, $4)', [
        runId,
        pipelineId,
        trigger,
        JSON.stringify({ scheduledFor: new Date(Date.now() - 90 * minuteMs).toISOString() }),
      ])
      await look()
      return alertsOf(runId)
    }
    expect(await started('schedule')).toEqual(['warned open', 'late open'])
    expect(await started('backfill')).toEqual([])
  })

  it('is said to be late once, when several ticks look while it ends', async () => {
    const runId = await calls.start(await withDefinition(hourly))
    await age(runId, 61 * minuteMs)
    await Promise.all([look(), finish(runId, 'succeeded', others), look()])
    await look()
    expect(await alertsOf(runId)).toEqual(['warned resolved', 'late resolved'])
    expect(await told(runId)).toHaveLength(3)
  })

  it('is found by an index that holds only open runs', async () => {
    // A table of a few rows is read whole unless somebody forbids it.
    await owner.query('set enable_seqscan = off')
    const { rows } = await owner.query<{ 'QUERY PLAN': string }>(
      `explain select * from runs where finished_at is null and sla_at <= now() order by sla_at limit 100`,
    )
    await owner.query('reset enable_seqscan')
    const { rows: indexes } = await owner.query<{ indexdef: string }>(
      `select indexdef from pg_indexes where indexname = 'runs_sla'`,
    )
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('runs_sla')
    expect(indexes[0]?.indexdef).toContain('finished_at IS NULL')
  })
})

describe('a pipeline that fails', () => {
  it('is told of with each failure, and once when it works again', async () => {
    const pipelineId = await withDefinition({ notify: [{ on: ['failed', 'recovered'], to: 'ops' }] })
    const [a, b, c, d] = [
      await calls.start(pipelineId),
      await calls.start(pipelineId),
      await calls.start(pipelineId),
      await calls.start(pipelineId),
    ]
    await finish(a, 'succeeded')
    expect(await alertsOf(a)).toEqual([])
    await finish(b, 'failed')
    expect(await alertsOf(b)).toEqual(['failed open'])
    const [notice] = await notices(b)
    expect(notice).toMatchObject({
      channel: 'ops',
      subject: expect.stringMatching(/^p-.*: a run failed$/),
      body: { kind: 'failed', runId: b, pipelineId, detail: { step: 'a', code: 'x', message: 'It broke.' } },
    })
    expect(notice?.alertId).toMatch(/^alr_[0-9a-hjkmnp-tv-z]{26}$/)
    await Promise.all([finish(c, 'succeeded'), finish(d, 'succeeded', others)])
    const said = [...(await alertsOf(c)), ...(await alertsOf(d))]
    expect(said).toEqual(['recovered resolved'])
    expect(await alertsOf(b)).toEqual(['failed resolved'])
    const { rows } = await owner.query(
      `select 1 from outbox where kind = 'notify' and payload->'body'->>'pipelineId' = $1`,
      [pipelineId],
    )
    expect(rows).toHaveLength(2)
  })

  it('says nothing of a run that somebody cancelled', async () => {
    const pipelineId = await withDefinition({ notify: [{ on: ['failed', 'succeeded'], to: 'ops' }] })
    const runId = await calls.start(pipelineId)
    await calls.cancel(runId)
    expect([await alertsOf(runId), await told(runId)]).toEqual([[], []])
  })

  it('tells of success only those who asked for it', async () => {
    const runId = await calls.start(
      await withDefinition({
        notify: [
          { on: ['succeeded'], to: 'ops' },
          { on: ['failed'], to: 'dev' },
        ],
      }),
    )
    await finish(runId, 'succeeded')
    expect(await told(runId)).toEqual(['succeeded ops'])
  })

  it('takes its notices back with everything else when the run does not end after all', async () => {
    const runId = await calls.start(await withDefinition({ notify: [{ on: ['failed'], to: 'ops' }] }))
    await calls.client.query('begin')
    await finish(runId, 'failed')
    await calls.client.query('rollback')
    expect([await alertsOf(runId), await told(runId)]).toEqual([[], []])
  })
})

describe('a schedule that does not fire', () => {
  it('is told of once, until it fires again', async () => {
    const pipelineId = await withDefinition({ notify: [{ on: ['late'], to: 'ops' }] })
    const id = `sch_${crypto.randomUUID()}`
    await owner.query(
      `insert into schedules (tenant_id, id, pipeline_id, cron, timezone, next_fire_at, overdue_since)
       values ($1, $2, $3, '0 0 * * *', 'UTC', now() - interval '20 min', now() - interval '4 min')`,
      [tenantId, id, pipelineId],
    )
    const states = async () =>
      (await owner.query(`select kind, state from alerts where schedule_id = $1 order by at`, [id])).rows
    await look()
    expect(await states()).toEqual([])
    await owner.query(`update schedules set overdue_since = now() - interval '6 min' where id = $1`, [id])
    await look()
    await look()
    expect(await states()).toEqual([{ kind: 'not_fired', state: 'open' }])
    const { rows } = await owner.query<{ subject: string }>(
      `select payload->>'subject' as subject from outbox where kind = 'notify' and payload->'body'->>'scheduleId' = $1`,
      [id],
    )
    expect(rows).toEqual([{ subject: expect.stringMatching(/: its schedule did not fire$/) }])
    await owner.query(
      `update schedules set next_fire_at = now() + interval '1 day', overdue_since = null where id = $1`,
      [id],
    )
    await look()
    expect(await states()).toEqual([{ kind: 'not_fired', state: 'resolved' }])
  })
})
