import type pg from 'pg'
import type { When } from '#src/domain/run-state.ts'
import type { Expected, Made } from './kinds/kind.ts'
import { compare, tallyOf } from './tally.ts'
import { judgeEvents } from './judge-events.ts'
import { foresee, outcomeOf } from './model.ts'

export type Fault = 'lost' | 'doubled' | 'stuck' | 'leaked'
export type Verdict = Record<Fault, number> & { words: string[] }
export type Say = (fault: Fault, words: string) => void
export type Db = pg.ClientBase | pg.Pool

/** All runs of one pipeline. */
export type Group = {
  steps: readonly Made[]
  runIds: readonly string[]
  /** Of a child: the step of the first group that starts it. */
  startedBy?: string
}

export type StepRow = {
  run_id: string
  key: string
  map_index: number
  state: string
  attempt: number
  needs: string[]
  run_when: When
  lease_until: Date | null
  answer_key: string | null
  rows_in: number
  rows_out: number
  rows_rejected: number
  output: Record<string, unknown> | null
  /** Among the dead letters. */
  letters: number
}
export type RunRow = {
  id: string
  state: string
  events: number
  finished_at: Date | null
  unfinished: number
}

const isOver = (state: string) => /^(succeeded|failed|skipped|cancelled)$/.test(state)

/**
 * Looks at what is left behind the wall and in the warehouse when the runs of a seed are over.
 * @param fill puts what a play has made up into names
 */
export async function judge(
  owner: Db,
  warehouse: Db,
  groups: readonly Group[],
  fill: (text: string) => string,
): Promise<Verdict> {
  const verdict: Verdict = { lost: 0, doubled: 0, stuck: 0, leaked: 0, words: [] }
  const say: Say = (fault, words) => {
    verdict[fault]++
    verdict.words.push(`${fault}: ${words}`)
  }
  const parents: StepRow[] = []
  for (const group of groups) {
    const { rows } = await owner.query<StepRow>(
      `select run_id, key, map_index, state, attempt, needs, run_when, lease_until, answer_key, rows_in::int, rows_out::int,
         rows_rejected::int, output, (select count(*)::int from dead_letters d
           where d.run_id = s.run_id and d.step_key = s.key and s.map_index = 0) as letters
       from steps s where run_id = any($1) order by position, map_index`,
      [group.runIds],
    )
    if (group === groups[0]) parents.push(...rows)
    const loads = new Map<string, { expected: Expected; sure: number; perhaps: number }>()
    for (const id of group.runIds) {
      const run = (await owner.query<RunRow>('select * from runs where id = $1', [id])).rows[0]
      const steps = rows.filter(({ run_id: of }) => of === id)
      if (!run) say('lost', `run ${id}`)
      else if (!run.finished_at) say('stuck', `run ${id} is ${run.state}: ${openSteps(steps)}`)
      else await judgeRun(owner, group.steps, run, steps, loads, say)
    }
    for (const { expected, sure, perhaps } of loads.values()) {
      const { loads: load } = expected
      if (!load) continue
      const most = sure + perhaps
      const copies = load.mode === 'append' ? range(sure, most) : range(Math.min(sure, 1), Math.min(most, 1))
      const table = fill(load.table)
      const allowed = copies.map((times) => Array.from({ length: times }, () => load.rows).flat())
      compare(`table ${table}`, await tallyOf(warehouse, `public."${table}"`), allowed, say)
    }
    if (group.startedBy !== undefined) judgeChildren(parents, group, say)
  }
  return verdict
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

const openSteps = (steps: readonly StepRow[]) =>
  steps
    .filter(({ state }) => !isOver(state) && state !== 'pending')
    .map(({ key, map_index: map, state, attempt }) => `${key}[${map}] ${state} (${attempt})`)
    .join(', ')

/** Each step that started the child has done so once. */
function judgeChildren(parents: readonly StepRow[], { startedBy, runIds }: Group, say: Say): void {
  const starters = parents.filter(({ key, map_index: map }) => key === startedBy && map === 0)
  const sure = starters.filter(({ state }) => state === 'succeeded').length
  const most = sure + starters.filter(({ state, attempt }) => state === 'cancelled' && attempt > 0).length
  if (runIds.length < sure) say('lost', `${sure} steps ${startedBy} started ${runIds.length} runs`)
  if (runIds.length > most) say('doubled', `${most} steps ${startedBy} started ${runIds.length} runs`)
}

async function judgeRun(
  owner: Db,
  made: readonly Made[],
  run: RunRow,
  steps: readonly StepRow[],
  loads: Map<string, { expected: Expected; sure: number; perhaps: number }>,
  say: Say,
): Promise<void> {
  const first = new Map(steps.filter(({ map_index: map }) => map === 0).map((step) => [step.key, step]))
  const expected = foresee(made, (key) => {
    const row = first.get(key)
    return row && { needs: row.needs, when: row.run_when }
  })
  if (run.state !== 'cancelled' && run.state !== outcomeOf(expected.values()))
    say('lost', `run ${run.id} is ${run.state} and should be ${outcomeOf(expected.values())}`)
  judgeHeld(run, steps, say)
  for (const step of made) {
    const row = first.get(step.id)
    const comes = expected.get(step.id)
    if (!row || !comes) say('lost', `step ${step.id} of ${run.id}`)
    else {
      judgeStep(run, row, comes, say)
      if (row.state === comes.state) judgeItems(run, steps, comes, say)
      await judgeVersion(owner, run, row, comes, say)
      noteLoad(loads, row, comes)
    }
  }
  await judgeLeftovers(owner, run, say)
  await judgeEvents(owner, run, steps, say)
}

function noteLoad(
  loads: Map<string, { expected: Expected; sure: number; perhaps: number }>,
  { key, state, attempt }: StepRow,
  expected: Expected,
): void {
  if (!expected.loads) return
  const noted = loads.get(key) ?? { expected, sure: 0, perhaps: 0 }
  if (state === 'succeeded') noted.sure++
  // It may have been taken back between its last word to the warehouse and its first word to us.
  else if (state === 'cancelled' && attempt > 0) noted.perhaps++
  loads.set(key, noted)
}

/** Every step has ended as its needs say it must; a cancelled run may have cancelled any of them. */
function judgeStep(run: RunRow, row: StepRow, expected: Expected, say: Say): void {
  const what = `step ${row.key} of ${run.id}`
  if (run.state === 'cancelled' && row.state === 'cancelled') return
  if (row.state !== expected.state)
    return say('lost', `${what} is ${row.state} and should be ${expected.state}`)
  if (expected.state === 'skipped' && row.attempt > 1) return
  const { counts, output } = expected
  if (counts && row.rows_out !== counts.out)
    say(
      row.rows_out > counts.out ? 'doubled' : 'lost',
      `${what} counts ${row.rows_out} rows instead of ${counts.out}`,
    )
  if (counts?.in !== undefined && row.rows_in !== counts.in)
    say('lost', `${what} counts ${row.rows_in} rows in instead of ${counts.in}`)
  if (counts?.rejected !== undefined && row.rows_rejected !== counts.rejected)
    say('lost', `${what} counts ${row.rows_rejected} rejected rows instead of ${counts.rejected}`)
  if (output && !holdsAll(row.output, output))
    say('lost', `${what} has the output ${JSON.stringify(row.output)} instead of ${JSON.stringify(output)}`)
}

/** Each item of its maps is there once, and has ended. */
function judgeItems(run: RunRow, steps: readonly StepRow[], { items = {} }: Expected, say: Say): void {
  for (const [key, { succeeded, failed = 0 }] of Object.entries(items)) {
    const own = steps.filter((step) => step.key === key && step.map_index > 0)
    for (const [state, wanted] of Object.entries({ succeeded, failed })) {
      const found = own.filter((item) => item.state === state).length
      if (found !== wanted)
        say(
          found > wanted ? 'doubled' : 'lost',
          `map ${key} of ${run.id} has ${found} items that ${state} instead of ${wanted}`,
        )
    }
  }
}

function holdsAll(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return value === wanted
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(wanted).every(([key, each]) =>
    holdsAll(new Map(Object.entries(value)).get(key), each),
  )
}

async function judgeVersion(
  owner: Db,
  run: RunRow,
  row: StepRow,
  expected: Expected,
  say: Say,
): Promise<void> {
  const { rows } = await owner.query<{ id: string; state: string; rows: number }>(
    'select id, state, rows::int from dataset_versions where run_id = $1 and step_key = $2',
    [run.id, row.key],
  )
  const [version] = rows
  const what = `the version of step ${row.key} of ${run.id}`
  const made = row.state === 'succeeded' ? expected.made : undefined
  if (version?.state === 'building') return say('leaked', `${what} was never finished`)
  if (!made) return version?.state === 'ready' ? say('doubled', `${what} should not be there`) : undefined
  if (!version) return say('lost', `${what} is not there`)
  if (version.rows !== made.length)
    say('lost', `${what} counts ${version.rows} rows instead of ${made.length}`)
  // Of what nobody can read any more only the count is left.
  if (version.state === 'ready') compare(what, await tallyOf(owner, `data."${version.id}"`), [made], say)
}

/** Nothing is held, by a step or one of its items, and who failed is among the dead. */
function judgeHeld(run: RunRow, steps: readonly StepRow[], say: Say): void {
  for (const { key, map_index: map, state, lease_until: lease, answer_key: answer, letters } of steps) {
    const what = `step ${key}[${map}] of ${run.id}`
    if (!isOver(state)) say('stuck', `${what} is ${state}`)
    if (lease) say('leaked', `${what} holds a lease`)
    if (answer !== null) say('leaked', `${what} waits for an answer`)
    if (map === 0 && state === 'failed' && letters !== 1) say('lost', `${what} has ${letters} dead letters`)
  }
}

async function judgeLeftovers(owner: Db, run: RunRow, say: Say): Promise<void> {
  if (run.unfinished !== 0) say('leaked', `run ${run.id} counts ${run.unfinished} unfinished steps`)
  const { rows } = await owner.query<{ kind: string }>(
    `select kind from outbox where payload->>'runId' = $1`,
    [run.id],
  )
  if (rows.length > 0)
    say('leaked', `messages of ${run.id} are still in the outbox: ${rows.map(({ kind }) => kind).join(', ')}`)
}
