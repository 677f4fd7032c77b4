import { duration } from '../../ui/figures.ts'
import { stepName } from '../approvals/decide.ts'

type Place = { step?: string | undefined; item?: number | undefined; outer?: number | undefined }

const words: Readonly<Record<string, string>> = {
  running: 'is at work',
  waiting: 'waits',
  retrying: 'is to be tried again',
  continued: 'goes on',
  succeeded: 'has succeeded',
  succeeded_with_warnings: 'has succeeded with warnings',
  failed: 'has failed',
  cancelling: 'is being cancelled',
}

/** What an event says of a run or of a step, such as: load has failed. */
export function happenedWords(type: string, { step, item, outer }: Place): string {
  const [kind, state = ''] = type.split('.')
  const of = kind === 'run' || step === undefined ? 'the run' : stepName({ step, item, outer })
  return `${of} ${words[state] ?? `is ${state.replaceAll('_', ' ')}`}`
}

export type Told = {
  attempt?: number
  delayMs?: number
  reason?: string
  error?: { code: string; message: string }
}

/** What else there is to say of it. */
export function moreWords({ attempt = 1, delayMs, reason, error }: Told): string {
  const more = [
    ...(attempt > 1 ? [`attempt ${attempt}`] : []),
    ...(error ? [error.message] : []),
    ...(delayMs ? [`again in ${duration(delayMs)}`] : []),
    ...(reason ? [`because: ${reason}`] : []),
  ]
  return more.length === 0 ? '' : `: ${more.join('; ')}`
}
