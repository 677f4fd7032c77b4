import type { Answer } from '#src/domain/call.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { madeAt } from '#src/domain/id.ts'
import type { Sensor, Wait } from '#src/domain/step.ts'
import { resolveText } from '#src/domain/template.ts'
import { dateIn, instantOf } from '#src/domain/wall-clock.ts'
import { namesOf } from '../names.ts'
import { look } from '../sensors.ts'
import type { StepOutcome, StepWork } from '../step.ts'

type WaitWork = StepWork<'wait'>
type Of<K extends string> = Extract<Wait, Record<K, unknown>>

/** Waiting holds no Worker: the step says when it wants to be asked again, or by whom it is to be answered. */
export async function executeWait(work: WaitWork): Promise<StepOutcome> {
  const { wait } = work.definition
  if ('for' in wait) return pause(work, wait.for)
  if ('until' in wait) return pause(work, timeOf(work, wait) - work.services.now().getTime())
  if ('approval' in wait) return approval(work, wait.approval)
  return sense(work, wait)
}

const over: StepOutcome = { result: { state: 'succeeded', rowsOut: 0, cursor: null } }

/** A Worker's clock may be so far behind the database's, by which a step that waits comes back. */
const clocksApartMs = 5_000

/** Asked for the first time it says how long; asked again, the time has passed, or that of the step or the run is over. */
async function pause(work: WaitWork, ms: number): Promise<StepOutcome> {
  const asked = work.claimed.cursor as Required<Place> | null
  const left = asked ? leftMs(work, asked) - clocksApartMs : ms
  if (left <= 0) return over
  if (asked && runLeftMs(work) <= clocksApartMs)
    throw new StepFailure('run_timeout', 'The run passed its time limit while this step waited.')
  const { until = new Date(work.services.now().getTime() + ms).toISOString() } = asked ?? {}
  return { result: { state: 'waiting', delayMs: Math.ceil(left), cursor: { until } } }
}

/** It comes back early when the run's time is up by the database's clock. */
const runLeftMs = ({ run, services }: WaitWork): number =>
  run.deadlineAt ? Date.parse(run.deadlineAt) - services.now().getTime() : Infinity

/** A time of day is one of the day that the run stands for, in the zone; one that has passed is not waited for. */
function timeOf(work: WaitWork, { until, timezone }: Of<'until'>): number {
  const text = resolveText(until, namesOf(work)).trim()
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? []
  if (hours !== undefined && minutes !== undefined) {
    const day = dateIn(timezone, new Date(work.run.scheduledFor ?? madeAt(work.run.id)))
    return instantOf(timezone, new Date(`${day}T${hours.padStart(2, '0')}:${minutes}:00Z`)).getTime()
  }
  const isTime = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})$/.test(text)
  const at = isTime ? Date.parse(text.replace(' ', 'T')) : NaN
  if (Number.isNaN(at))
    throw new StepFailure(
      'bad_time',
      `"${text.slice(0, 100)}" is no time such as 2026-12-24T08:00:00Z or 08:00.`,
    )
  return at
}

/** When the wait is over, kept from the first look on: a retry does not begin it anew. */
type Place = { until?: string }

function untilOf({ claimed, definition, services }: WaitWork): Place {
  const place = claimed.cursor as Place | null
  if (place) return place
  if (definition.deadlineMs === undefined) return {}
  return { until: new Date(services.now().getTime() + definition.deadlineMs).toISOString() }
}

const leftMs = ({ services }: WaitWork, { until }: Place): number =>
  until === undefined ? Infinity : Date.parse(until) - services.now().getTime()

/** What may heal by the next look is no failure of the wait, unless it is the reason why that was in vain. */
async function sense(work: WaitWork, sensor: Sensor): Promise<StepOutcome> {
  const place = untilOf(work)
  let hindrance = ''
  try {
    const output = await look(work, sensor)
    if (output) return { result: { ...over.result, output } }
  } catch (error) {
    if (!(error instanceof StepFailure) || !error.retryable) throw error
    hindrance = ` The last look failed: ${error.message}`
    work.log('warn', error.message)
  }
  const left = leftMs(work, place)
  if (left <= 0) throw timeout(work, `Nothing came within ${secondsOf(work)}.${hindrance}`)
  return { result: { state: 'waiting', delayMs: Math.min(sensor.everyMs, left), cursor: { ...place } } }
}

async function approval(
  work: WaitWork,
  { message, roles }: Of<'approval'>['approval'],
): Promise<StepOutcome> {
  const { claimed } = work
  const answer = claimed.answer as Answer | null | undefined
  if (answer && 'approval' in answer) {
    const { approved, by, comment } = answer.approval
    const said = comment === undefined ? '' : `: ${comment}`
    if (!approved) throw new StepFailure('rejected', `Rejected by ${by}${said}`)
    return { result: { ...over.result, output: { ...answer.approval } } }
  }
  const asked = claimed.cursor !== null && 'approval' in claimed.cursor
  const place = untilOf(work)
  const left = leftMs(work, place)
  if (asked && left <= 0) throw timeout(work, `Nobody approved it within ${secondsOf(work)}.`)
  const words = message === undefined ? {} : { message: resolveText(message, namesOf(work)) }
  return {
    result: {
      state: 'waiting',
      answerKey: crypto.randomUUID(),
      ...(left === Infinity ? {} : { delayMs: Math.max(Math.ceil(left), 0) }),
      cursor: { ...place, approval: { ...words, roles } },
    },
  }
}

const timeout = (work: WaitWork, words: string): StepFailure => {
  work.log('warn', words)
  return new StepFailure('timeout', words)
}

const secondsOf = ({ definition }: WaitWork): string =>
  `${Math.round((definition.deadlineMs ?? 0) / 100) / 10} s`
