import type pg from 'pg'
import { newId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import { chance } from './crowd.ts'
import { codeOf, engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from './engine-calls.ts'
import { ownDatabase, type OwnDatabase } from './own-database.ts'
import { endRun, fire, planned, plannedSchedule, type Fire } from './trigger-calls.ts'

/** So many transactions there are at once, and a database of `quotaDatabase` expects no more. */
export const sessionsAtOnce = 8

/** As if the server let no more sessions in: then fifty runs are enough for both ways of starting one. */
export async function quotaDatabase(): Promise<OwnDatabase> {
  const database = await ownDatabase()
  const { rows } = await database.owner.query<{ text: string }>(
    `select pg_get_functiondef('app.judge_start(text, jsonb)'::regprocedure) as text`,
  )
  const [before, ...after] = (rows[0]?.text ?? '').split(`current_setting('max_connections')::bigint`)
  if (after.length !== 1) throw new Error('app.judge_start does not look at max_connections once')
  await database.owner.query([before, ...after].join(String(sessionsAtOnce)))
  return database
}

/** Lets the tenant start so many runs more. */
export async function leave(owner: pg.Client, tenant: TenantId, left: number): Promise<void> {
  await owner.query(
    `update tenants set quotas = jsonb_build_object('runs', coalesce((app.used($1)->>'runs')::int, 0) + $2) where tenant_id = $1`,
    [tenant, left],
  )
}

export const oneStep = (owner: pg.Client, tenant: TenantId): Promise<PipelineId> =>
  plannedPipeline(owner, tenant, [{ key: 'one', needs: [], when: 'all_success' }])

type Stage = { owner: pg.Client; tenant: TenantId; calls: EngineCalls }
/** One transaction's work, done on any session; `wants` says how many runs it would start. */
type Attempt = { wants: number; work: (calls: EngineCalls) => Promise<unknown> }

const call = (calls: EngineCalls, text: string, params: unknown[]) =>
  calls.client.query(`select ${text}`, params)

async function trigger({ owner, tenant }: Stage, pipeline: PipelineId, kind: string, source?: string) {
  const id = newId('trigger')
  await owner.query(
    `insert into triggers (tenant_id, id, pipeline_id, key, kind, definition)
     values ($1, $2, $3, $2, $4, '{"on": ["finished"], "when": "any"}')`,
    [tenant, id, pipeline, kind],
  )
  if (source !== undefined)
    await owner.query(
      'insert into trigger_sources (tenant_id, kind, name, trigger_id) values ($1, $2, $3, $4)',
      [tenant, kind, source, id],
    )
  return id
}

async function byHand({ owner, tenant }: Stage): Promise<Attempt> {
  const pipeline = await oneStep(owner, tenant)
  return {
    wants: 1,
    work: (calls) => call(calls, `app.start_run($1, $2, 'manual', '{}')`, [newId('run'), pipeline]),
  }
}

async function bySchedules({ owner, tenant }: Stage): Promise<Attempt> {
  const fires: Fire[] = []
  for (let i = 0; i < 3; i++) {
    const next = new Date(Date.now() - 1_000)
    const schedule = await plannedSchedule(owner, tenant, await oneStep(owner, tenant), { next })
    const due = await planned(owner, schedule, new Date())
    if (due) fires.push(due)
  }
  return { wants: fires.length, work: (calls) => fire(calls, fires) }
}

async function byEvent(stage: Stage): Promise<Attempt> {
  const webhook = await trigger(stage, await oneStep(stage.owner, stage.tenant), 'webhook')
  const options = JSON.stringify({ parameters: {}, checkedFor: 1 })
  return {
    wants: 1,
    work: (calls) => call(calls, 'app.receive_event($1, $2, $3, $4)', [webhook, newId('run'), 'h', options]),
  }
}

/** The end of a run that two other pipelines follow and whose data a third one waits for. */
async function byAnotherRun(stage: Stage): Promise<Attempt> {
  const { owner, tenant, calls } = stage
  const first = await oneStep(owner, tenant)
  const { rows } = await owner.query<{ name: string }>('select name from pipelines where id = $1', [first])
  for (let i = 0; i < 2; i++)
    await trigger(stage, await oneStep(owner, tenant), 'pipeline', rows[0]?.name ?? '')
  const dataset = `d${crypto.randomUUID()}`
  await trigger(stage, await oneStep(owner, tenant), 'dataset', dataset)
  const run = await calls.start(first)
  await owner.query('insert into datasets (tenant_id, id, name) values ($1, $2, $3)', [
    tenant,
    newId('dataset'),
    dataset,
  ])
  await owner.query(
    `insert into dataset_versions (tenant_id, id, dataset_id, state, columns, run_id, step_key)
     select $1, $2, d.id, 'ready', '[]', $4, 'one' from datasets d where d.tenant_id = $1 and d.name = $3`,
    [tenant, newId('datasetVersion'), dataset, run],
  )
  return { wants: 3, work: (on) => endRun(on, run) }
}

/** The end of a run that a time of its schedule waits for. */
async function byWaiting({ owner, tenant, calls }: Stage): Promise<Attempt> {
  const at = new Date(Date.now() - 60_000)
  const schedule = await plannedSchedule(owner, tenant, await oneStep(owner, tenant), {
    next: at,
    overlap: 'queue',
  })
  const due = await planned(owner, schedule, new Date())
  if (!due) throw new Error('nothing is due')
  const times = [at, new Date(at.getTime() + 30_000)].map((time) => time.toISOString())
  const { wakes } = await fire(calls, [{ ...due, times }])
  return { wants: 1, work: (on) => endRun(on, wakes[0]?.runId as RunId) }
}

async function byBackfill({ owner, tenant }: Stage): Promise<Attempt> {
  const pipeline = await oneStep(owner, tenant)
  const times = [0, 1, 2, 3].map((day) => new Date(Date.UTC(2026, 0, 1 + day)).toISOString())
  return {
    wants: 3,
    work: (calls) =>
      call(calls, `app.start_backfill($1, $2, 1, '{}', '{}', $3, 3, false)`, [
        newId('backfill'),
        pipeline,
        times,
      ]),
  }
}

async function byRerun({ owner, tenant, calls }: Stage): Promise<Attempt> {
  const run = await calls.start(await oneStep(owner, tenant))
  await endRun(calls, run)
  return { wants: 1, work: (on) => call(on, `app.rerun_run($1, $2, 'all', '{}')`, [newId('run'), run]) }
}

const kinds = [byHand, bySchedules, byEvent, byAnotherRun, byWaiting, byBackfill, byRerun]

/** What src/db/database.ts does with a transaction, and some time before it commits. */
async function transact(calls: EngineCalls, { work }: Attempt, pauseMs: number): Promise<void> {
  for (const turn of [false, true]) {
    await calls.client.query('begin')
    const code = await codeOf(
      (async () => {
        if (turn) await calls.client.query('select app.take_turn()')
        await work(calls)
        await calls.client.query('select pg_sleep($1)', [pauseMs / 1_000])
        await calls.client.query('commit')
      })(),
    )
    if (code === 'ok') return
    await calls.client.query('rollback')
    if (turn || code !== 'WE004') throw new Error(`a transaction ended with ${code}`)
  }
}

export type Race = { wanted: number; left: number; begun: number; counted: number; refused: number }

/** So many rounds of every kind of start, in a mixed order and all at once, where fewer runs are left than are wanted. */
export async function race(database: OwnDatabase, seed: number, rounds: number): Promise<Race> {
  const { owner } = database
  const next = chance(seed)
  const below = (most: number) => Math.floor(next() * most)
  const tenant = await newBareTenant(owner)
  const sessions: EngineCalls[] = []
  for (let i = 0; i < sessionsAtOnce; i++) sessions.push(await engineCalls(database.url, tenant))
  const [calls] = sessions
  if (!calls) throw new Error('there are no sessions')
  const attempts: Attempt[] = []
  for (let round = 0; round < rounds; round++)
    for (const kind of kinds)
      attempts.splice(below(attempts.length + 1), 0, await kind({ owner, tenant, calls }))
  const wanted = attempts.reduce((sum, { wants }) => sum + wants, 0)
  const left = below(wanted)
  const before = await standing(owner, tenant)
  await leave(owner, tenant, left)
  await Promise.all(
    sessions.map(async (session) => {
      for (let attempt = attempts.shift(); attempt; attempt = attempts.shift())
        await transact(session, attempt, below(20))
    }),
  )
  const after = await standing(owner, tenant)
  for (const session of sessions) await session.end()
  return {
    wanted,
    left,
    begun: after.runs - before.runs,
    counted: after.counted - before.counted,
    refused: after.refused,
  }
}

async function standing(owner: pg.Client, tenant: TenantId) {
  const { rows } = await owner.query<{ runs: number; used: Record<string, number> }>(
    'select count(*)::int as runs, app.used($1) as used from runs where tenant_id = $1',
    [tenant],
  )
  const [found] = rows
  return {
    runs: found?.runs ?? 0,
    counted: found?.used['runs'] ?? 0,
    refused: found?.used['refusedRuns'] ?? 0,
  }
}
