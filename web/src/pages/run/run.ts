import type { InferResponseType } from 'hono/client'
import type { RunState, StepState } from '#src/domain/run-state.ts'
import type { Client } from '../../api.ts'

type ById = Client['v1']['runs'][':id']
export type Run = InferResponseType<ById['$get'], 200>
export type Step = Run['steps'][number]
export type Quality = InferResponseType<ById['quality']['$get'], 200>['items'][number]

const endStates = ['succeeded', 'succeeded_with_warnings', 'failed', 'cancelled'] as const
const over: ReadonlySet<RunState> = new Set(endStates)
const stepOver: ReadonlySet<StepState> = new Set(['succeeded', 'failed', 'skipped', 'cancelled'] as const)
export const isOver = (run: Run): boolean => over.has(run.state)
export const isStepOver = (step: Step): boolean => stepOver.has(step.state)

/** Every kind of event that a run's stream carries, `progress` aside. */
export const eventTypes = [
  ...['queued', 'running', 'cancelling', ...endStates].map((state) => `run.${state}`),
  ...['ready', 'running', 'waiting', 'retrying', 'continued', ...stepOver].map((state) => `step.${state}`),
]

export type RunEvent = {
  at: string
  type: string
  step?: string
  attempt?: number
  rowsIn?: number
  rowsOut?: number
  rowsRejected?: number
  error?: { code: string; message: string }
  /** Of an item of a map; what happens to those is not what happens to the step. */
  mapIndex?: number
  /** After how long a step that waits is looked at again. */
  delayMs?: number
}
export type Progress = Pick<Step, 'key' | 'rowsIn' | 'rowsOut' | 'rowsRejected'>

/**
 * The run after an event. The stream begins with events that the run shows already, so only what leads forward counts:
 * the rest is left to reading the run again.
 */
export function afterEvent(run: Run, event: RunEvent): Run {
  if (event.step === undefined) return afterRunEvent(run, event)
  if (event.mapIndex !== undefined) return run
  return {
    ...run,
    steps: run.steps.map((step) => (step.key === event.step ? afterStepEvent(step, event) : step)),
  }
}

function afterRunEvent(run: Run, { type, at }: RunEvent): Run {
  if (isOver(run)) return run
  if (type === 'run.running' && run.state === 'queued') return { ...run, state: 'running', startedAt: at }
  if (type === 'run.cancelling') return { ...run, state: 'cancelling' }
  const end = endStates.find((state) => type === `run.${state}`)
  if (end === undefined) return run
  return { ...run, state: end, finishedAt: at, ...tookMs(run.startedAt, at) }
}

function afterStepEvent(step: Step, event: RunEvent): Step {
  if (isStepOver(step)) return step
  const { at, attempt = 0, rowsIn, rowsOut, rowsRejected, error } = event
  switch (event.type) {
    case 'step.ready':
      return step.state === 'pending' ? { ...step, state: 'ready' } : step
    case 'step.running':
      return attempt > step.attempt
        ? { ...step, state: 'running', attempt, startedAt: step.startedAt ?? at }
        : step
    case 'step.succeeded':
    case 'step.failed':
    case 'step.skipped':
    case 'step.cancelled': {
      const rows = {
        rowsIn: rowsIn ?? step.rowsIn,
        rowsOut: rowsOut ?? step.rowsOut,
        rowsRejected: rowsRejected ?? step.rowsRejected,
      }
      const state = event.type.slice('step.'.length) as 'succeeded' | 'failed' | 'skipped' | 'cancelled'
      return {
        ...step,
        ...rows,
        state,
        finishedAt: at,
        ...tookMs(step.startedAt, at),
        ...(error ? { error } : {}),
      }
    }
    default:
      return step
  }
}

export type Untils = ReadonlyMap<string, string>

/** Until when each step waits by what has happened, where that is a time. */
export function untilsAfter(untils: Untils, { step, type, at, delayMs, mapIndex }: RunEvent): Untils {
  if (step === undefined || mapIndex !== undefined) return untils
  const next = new Map(untils)
  if ((type === 'step.waiting' || type === 'step.retrying') && delayMs !== undefined)
    next.set(step, new Date(Date.parse(at) + delayMs).toISOString())
  else next.delete(step)
  return next
}

const tookMs = (from: string | undefined, to: string) =>
  from === undefined ? {} : { durationMs: Math.max(0, Date.parse(to) - Date.parse(from)) }

/** The run with the rows that its running steps have moved by now. */
export function afterProgress(run: Run, steps: readonly Progress[]): Run {
  const byKey = new Map(steps.map((step) => [step.key, step]))
  const counted = run.steps.map((step) => {
    const now = isStepOver(step) ? undefined : byKey.get(step.key)
    return now ? { ...step, rowsIn: now.rowsIn, rowsOut: now.rowsOut, rowsRejected: now.rowsRejected } : step
  })
  return { ...run, steps: counted }
}

/** What a step has handled: what it read, or what it wrote where it reads nothing that is counted. */
export const rowsOf = ({ rowsIn, rowsOut }: Pick<Step, 'rowsIn' | 'rowsOut'>): number =>
  Math.max(rowsIn, rowsOut)
