import { decide, type StepState, type When } from '#src/domain/run-state.ts'
import type { Expected, Made, Model } from './kinds/kind.ts'
import type { Rows } from './rows.ts'

export type Needs = { needs: readonly string[]; when: When }

/** What becomes of the steps of a run that nobody cancels, each told as decide() has it. Steps stand after what they need. */
export function foresee(
  steps: readonly Made[],
  needsOf: (key: string) => Needs | undefined,
): Map<string, Expected> {
  const expected = new Map<string, Expected>()
  const rows = new Map<string, Rows>()
  const model: Model = {
    rows: (dataset) => rows.get(dataset) ?? [],
    stateOf: (step): StepState | undefined => expected.get(step)?.state,
  }
  for (const step of steps) {
    const { needs, when } = needsOf(step.id) ?? { needs: [], when: 'all_success' }
    const ended = (state: Expected['state']) =>
      needs.filter((key) => expected.get(key)?.state === state).length
    const verdict = decide(when, {
      total: needs.length,
      succeeded: ended('succeeded'),
      failed: ended('failed'),
      skipped: ended('skipped'),
    })
    const comes: Expected = verdict === 'skip' ? { state: 'skipped' } : step.expect(model)
    expected.set(step.id, comes)
    const dataset = step.dataset ?? step.reads?.[0]
    if (comes.made && dataset !== undefined) rows.set(dataset, comes.made)
  }
  return expected
}

/** What the run's own outcome is. */
export function outcomeOf(expected: Iterable<Expected>): string {
  const all = [...expected]
  if (all.some(({ state }) => state === 'failed')) return 'failed'
  return all.some(({ warned }) => warned) ? 'succeeded_with_warnings' : 'succeeded'
}
