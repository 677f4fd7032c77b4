import { logWrite, type NewLine } from '#src/db/logs.ts'
import type { RunId } from '#src/domain/id.ts'
import { logLimits, storable, type LogLevel } from '#src/domain/log.ts'
import { redactor } from '#src/domain/redact.ts'

/** What a step says while it works, kept until a transaction of the step takes it along. */
export type StepLog = {
  say: (level: LogLevel, message: string) => void
  /** Whatever this holds is shown nowhere from now on. */
  hide: (secret: unknown) => void
  redact: (text: string) => string
  /** What was said since the last commit, to stand in a transaction before its fence; `written` when that is committed. */
  pending: () => { statements: { text: string; params: (string | number)[] }[]; written: () => void }
}

/** How often a step that moves rows says how many there are. */
const betweenCountsMs = 10_000

/** Says how many rows there are so far, seldom enough to be read. */
export function countTeller(now: () => Date, log: StepLog['say']): (rows: number) => void {
  let toldMs = now().getTime()
  return (rows) => {
    const nowMs = now().getTime()
    if (nowMs - toldMs < betweenCountsMs) return
    toldMs = nowMs
    log('info', `${rows} rows so far.`)
  }
}

export function stepLog(now: () => Date, runId: RunId, step: { key: string; mapIndex: number }): StepLog {
  const { add, redact } = redactor()
  let lines: NewLine[] = []
  let said = 0
  let bytes = 0
  return {
    say(level, message) {
      // One line beyond what a step keeps is taken: by it the database learns that there was more.
      if (said > logLimits.lines || bytes > logLimits.bytes) return
      const stored = storable(redact(message))
      lines.push({ at: now(), level, message: stored.text })
      said += 1
      bytes += stored.bytes
    },
    hide: add,
    redact,
    pending() {
      const count = lines.length
      return {
        statements: count === 0 ? [] : [logWrite(runId, step, lines)],
        written: () => {
          lines = lines.slice(count)
        },
      }
    },
  }
}
