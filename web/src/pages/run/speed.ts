import { rowsOf, type Progress, type Step } from './run.ts'

const windowMs = 5_000
const shortestMs = 400

type Sample = { atMs: number; rows: number }

/** Rows a second of each running step over the last seconds; nothing about a step that was only just seen. */
export function speedometer() {
  const samples = new Map<string, Sample[]>()
  return (steps: readonly Progress[], atMs: number): ReadonlyMap<string, number> => {
    const speeds = new Map<string, number>()
    for (const step of steps) {
      const rows = rowsOf(step)
      const seen = (samples.get(step.key) ?? []).filter((one) => one.rows <= rows)
      // The newest that is older than the window stays, or slow steps would have nothing to compare with.
      while (seen[1] !== undefined && atMs - seen[1].atMs >= windowMs) seen.shift()
      const first = seen[0]
      if (first && atMs - first.atMs >= shortestMs)
        speeds.set(step.key, ((rows - first.rows) * 1000) / (atMs - first.atMs))
      samples.set(step.key, [...seen, { atMs, rows }])
    }
    return speeds
  }
}

/** Rows a second of a step that is over. */
export const meanSpeed = (step: Step): number | undefined =>
  step.durationMs !== undefined && step.durationMs > 0 && rowsOf(step) > 0
    ? (rowsOf(step) * 1000) / step.durationMs
    : undefined
