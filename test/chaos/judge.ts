import type pg from 'pg'
import { decide, runMoves, stepMoves, type When } from '#src/domain/run-state.ts'
import type { Made } from './kinds.ts'
import type { Plan } from './plan.ts'
import type { Rows } from './rows.ts'

export type Verdict = { lost: number; doubled: number; stuck: number; leaked: number; words: string[] }

type StepRow = {
  key: string
  map_index: number
  state: string
  needs: string[]
  run_when: When
  lease_until: Date | null
}
type RunRow = { id: string; state: string; events: number; finished_at: Date | null; unfinished: number }
type Seen = { rows: number; distinct: number; sum: number }

/** Looks at what is left behind the wall and in the warehouse when a plan's runs are over. */
export async function judge(
  owner: pg.ClientBase | pg.Pool,
  warehouse: pg.ClientBase | pg.Pool,
  plan: Plan,
  runIds: readonly string[],
): Promise<Verdict> {
  const verdict: Verdict = { lost: 0, doubled: 0, stuck: 0, leaked: 0, words: [] }
  const say = (what: 'lost' | 'doubled' | 'stuck' | 'leaked', words: string) => {
    verdict[what]++
    verdict.words.push(`${what}: ${words}`)
  }
  const compare = (what: string, seen: Seen | undefined, expected: Rows) => {
    const wanted = seenOf(expected)
    if (!seen) return say('lost', `${what} is not there`)
    if (seen.rows > wanted.rows) say('doubled', `${what} has ${seen.rows} rows instead of ${wanted.rows}`)
    else if (seen.rows < wanted.rows || seen.distinct !== wanted.distinct || seen.sum !== wanted.sum)
      say('lost', `${what} has ${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`)
  }
  const loaded = new Map<string, number>()
  for (const id of runIds) {
    const run = (await owner.query<RunRow>('select * from runs where id = $1', [id])).rows[0]
    if (!run) {
      say('lost', `run ${id}`)
      continue
    }
    if (!run.finished_at) {
      say('stuck', `run ${id} is ${run.state}`)
      continue
    }
    const steps = (
      await owner.query<StepRow>(
        'select key, map_index, state, needs, run_when, lease_until from steps where run_id = $1 order by position, map_index',
        [id],
      )
    ).rows
    judgeSteps(plan, run, steps, say)
    await judgeLeftovers(owner, run, steps, say)
    await judgeEvents(owner, run, steps, say)
    for (const step of plan.steps) {
      if (steps.find(({ key, map_index }) => key === step.id && map_index === 0)?.state !== 'succeeded')
        continue
      if (step.load) loaded.set(step.id, (loaded.get(step.id) ?? 0) + 1)
      if (step.rows) compare(`step ${step.id} of ${id}`, await versionOf(owner, id, step), step.rows)
    }
  }
  for (const { id, load } of plan.steps) {
    const times = loaded.get(id) ?? 0
    if (!load || times === 0) continue
    const copies = load.mode === 'append' ? times : 1
    const expected = Array.from({ length: copies }, () => load.rows).flat()
    compare(`table ${load.table}`, await tallyOf(warehouse, `public."${load.table}"`), expected)
  }
  return verdict
}

type Say = (what: 'lost' | 'stuck' | 'leaked' | 'doubled', words: string) => void

/** Every step has ended as its needs say it must; a cancelled run only has no step left open. */
function judgeSteps(plan: Plan, run: RunRow, steps: readonly StepRow[], say: Say): void {
  const states = new Map(
    steps.filter(({ map_index }) => map_index === 0).map(({ key, state }) => [key, state]),
  )
  for (const { key, map_index, state } of steps)
    if (!/^(succeeded|failed|skipped|cancelled)$/.test(state))
      say('stuck', `step ${key}[${map_index}] of ${run.id} is ${state}`)
  if (run.state === 'cancelled') return
  for (const { key, map_index, state, needs, run_when: when } of steps) {
    if (map_index > 0) continue
    const count = (...of: string[]) => needs.filter((need) => of.includes(states.get(need) ?? '')).length
    const verdict = decide(when, {
      total: needs.length,
      succeeded: count('succeeded'),
      failed: count('failed', 'cancelled'),
      skipped: count('skipped'),
    })
    const fails = plan.steps.find(({ id }) => id === key)?.fails
    const wanted = verdict === 'skip' ? 'skipped' : fails ? 'failed' : 'succeeded'
    if (state !== wanted) say('lost', `step ${key} of ${run.id} is ${state} and should be ${wanted}`)
  }
}

async function judgeLeftovers(
  owner: pg.ClientBase | pg.Pool,
  run: RunRow,
  steps: readonly StepRow[],
  say: Say,
): Promise<void> {
  for (const { key, lease_until: lease } of steps)
    if (lease) say('leaked', `step ${key} of ${run.id} holds a lease`)
  if (run.unfinished !== 0) say('leaked', `run ${run.id} counts ${run.unfinished} unfinished steps`)
  const { rows } = await owner.query<{ n: number }>(
    `select count(*)::int as n from outbox where kind = 'run' and payload->>'runId' = $1`,
    [run.id],
  )
  if (rows[0]?.n !== 0) say('leaked', `${rows[0]?.n} messages of ${run.id} are still in the outbox`)
  const building = await owner.query(
    `select from dataset_versions where run_id = $1 and state = 'building'`,
    [run.id],
  )
  if (building.rowCount) say('leaked', `${building.rowCount} versions of ${run.id} were never finished`)
}

type EventRow = { seq: number; type: string; step_key: string | null; map_index: number | null }

/** The events are numbered without a gap, and each is a move that there is. */
async function judgeEvents(
  owner: pg.ClientBase | pg.Pool,
  run: RunRow,
  steps: readonly StepRow[],
  say: Say,
): Promise<void> {
  const { rows } = await owner.query<EventRow>(
    'select seq, type, step_key, map_index from run_events where run_id = $1 order by seq',
    [run.id],
  )
  if (rows.length !== run.events || rows.some(({ seq }, i) => seq !== i + 1))
    say('lost', `run ${run.id} has ${rows.length} events and counts ${run.events}`)
  let at = 'queued'
  for (const { type } of rows.filter(({ step_key: key }) => key === null).slice(1)) {
    const next = type.replace(/^run\./, '')
    const moves: readonly string[] = runMoves[at as keyof typeof runMoves] ?? []
    // Going on after a wait is told by the step's own event.
    const waited = at === 'waiting' ? runMoves.running : []
    if (![...moves, ...waited].includes(next as never))
      say('lost', `run ${run.id} moved from ${at} to ${next}`)
    at = next
  }
  if (rows.length > 0 && at !== run.state)
    say('lost', `the last event of ${run.id} says ${at}, the run ${run.state}`)
  for (const step of steps.filter(({ map_index }) => map_index === 0)) judgeMoves(run, step, rows, say)
}

function judgeMoves(run: RunRow, step: StepRow, rows: readonly EventRow[], say: Say): void {
  let at = step.needs.length === 0 || step.run_when === 'always' ? 'ready' : 'pending'
  let ends = 0
  for (const { type } of rows.filter(({ step_key: key, map_index }) => key === step.key && !map_index)) {
    const told = type.replace(/^step\./, '')
    const next = told === 'continued' || told === 'retrying' ? 'ready' : told
    const moves: readonly string[] = stepMoves[at as keyof typeof stepMoves] ?? []
    // Taken over, a step is running already; answered, it went from waiting to ready unheard.
    if (!moves.includes(next) && !(next === 'running' && (at === 'running' || at === 'waiting')))
      say('lost', `step ${step.key} of ${run.id} moved from ${at} to ${next}`)
    if (/^(succeeded|failed|skipped|cancelled)$/.test(next)) ends++
    at = next
  }
  if (ends > 1) say('doubled', `step ${step.key} of ${run.id} ended ${ends} times`)
  if (ends === 0 && run.state !== 'cancelled')
    say('lost', `nothing tells that step ${step.key} of ${run.id} ended`)
}

async function versionOf(
  owner: pg.ClientBase | pg.Pool,
  runId: string,
  step: Made,
): Promise<Seen | undefined> {
  const { rows } = await owner.query<{ id: string; state: string; rows: number }>(
    'select id, state, rows::int from dataset_versions where run_id = $1 and step_key = $2',
    [runId, step.id],
  )
  const [version] = rows
  // What nobody can read any more is dropped; its count is what is left of it.
  if (version?.state === 'dropped') return { ...seenOf(step.rows ?? []), rows: version.rows }
  return version ? tallyOf(owner, `data."${version.id}"`) : undefined
}

async function tallyOf(client: pg.ClientBase | pg.Pool, table: string): Promise<Seen | undefined> {
  try {
    const { rows } = await client.query<Seen>(
      `select count(*)::int as rows, count(distinct id)::int as distinct, coalesce(sum(id), 0)::float8 as sum from ${table}`,
    )
    return rows[0]
  } catch (error) {
    if ((error as { code?: string }).code === '42P01') return undefined
    throw error
  }
}

const seenOf = (rows: Rows): Seen => ({
  rows: rows.length,
  distinct: new Set(rows).size,
  sum: rows.reduce((sum, id) => sum + id, 0),
})
