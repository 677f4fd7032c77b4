import { runMoves, stepMoves } from '#src/domain/run-state.ts'
import type { Db, RunRow, Say, StepRow } from './judge.ts'

type EventRow = { seq: number; type: string; step_key: string | null; map_index: number | null }

/** The events are numbered without a gap, and each is a move that there is. */
export async function judgeEvents(
  owner: Db,
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
  const own = rows.filter(({ step_key: key }) => key === null).map(({ type }) => type.replace(/^run\./, ''))
  if (own[0] !== 'queued') say('lost', `nothing tells that run ${run.id} was queued`)
  let at = 'queued'
  for (const next of own.slice(1)) {
    // Going on after a wait is told by the step's own event.
    const moves = [...movesFrom(runMoves, at), ...(at === 'waiting' ? runMoves.running : [])]
    if (!moves.includes(next)) say('lost', `run ${run.id} moved from ${at} to ${next}`)
    at = next
  }
  if (at !== run.state) say('lost', `the last event of ${run.id} says ${at}, the run ${run.state}`)
  if (rows.at(-1)?.step_key != null) say('lost', `the last event of ${run.id} is of a step`)
  const byStep = Map.groupBy(rows, ({ step_key: key, map_index: map }) => `${key}[${map ?? 0}]`)
  for (const step of steps) {
    const told = byStep.get(`${step.key}[${step.map_index}]`) ?? []
    judgeMoves(
      run,
      step,
      told.map(({ type }) => type.replace(/^step\./, '')),
      say,
    )
  }
}

const movesFrom = (moves: Record<string, readonly string[]>, state: string): readonly string[] =>
  moves[state] ?? []

const isOver = (state: string) => /^(succeeded|failed|skipped|cancelled)$/.test(state)

function judgeMoves(run: RunRow, step: StepRow, told: readonly string[], say: Say): void {
  const what = `step ${step.key}[${step.map_index}] of ${run.id}`
  let at = step.needs.length === 0 || step.run_when === 'always' ? 'ready' : 'pending'
  for (const type of told) {
    const next = type === 'continued' || type === 'retrying' ? 'ready' : type
    // Taken over, a step is running already; answered, it went from waiting to ready unheard.
    const isTaken = next === 'running' && (at === 'running' || at === 'waiting')
    if (!isTaken && !movesFrom(stepMoves, at).includes(next))
      say('lost', `${what} moved from ${at} to ${next}`)
    at = next
  }
  const ends = told.filter(isOver).length
  if (ends > 1) say('doubled', `${what} ended ${ends} times`)
  // What a cancelled run has not begun is cancelled in silence.
  if (at !== step.state && !(step.state === 'cancelled' && ends === 0))
    say('lost', `the events of ${what} end with ${at}, and it is ${step.state}`)
}
