import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decide,
  runMoves,
  runStates,
  stepMoves,
  stepStates,
  whens,
  type Needs,
} from '#src/domain/run-state.ts'

/** Needs of up to six steps, and what may become of those of them that are still open. */
const needs = fc
  .array(fc.constantFrom('succeeded' as const, 'failed' as const, 'skipped' as const, 'open' as const), {
    maxLength: 6,
  })
  .map((states) => {
    const count = (wanted: string) => states.filter((state) => state === wanted).length
    return {
      total: states.length,
      succeeded: count('succeeded'),
      failed: count('failed'),
      skipped: count('skipped'),
    }
  })
const openOf = ({ total, succeeded, failed, skipped }: Needs) => total - succeeded - failed - skipped
const when = fc.constantFrom(...whens)

describe('when a step may start', () => {
  it('is never undecided once all that it needs is over', () => {
    fc.assert(
      fc.property(when, needs, (rule, now) => {
        expect(openOf(now) === 0 && decide(rule, now) === 'wait').toBe(false)
      }),
    )
  })

  it('does not change any more once it is decided, whatever becomes of the rest', () => {
    fc.assert(
      fc.property(
        when,
        needs,
        fc.constantFrom('succeeded' as const, 'failed' as const, 'skipped' as const),
        (rule, now, next) => {
          const decided = decide(rule, now)
          if (decided === 'wait' || openOf(now) === 0) return
          expect(decide(rule, { ...now, [next]: now[next] + 1 })).toBe(decided)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it.each([
    ['all_success', { total: 2, succeeded: 2, failed: 0, skipped: 0 }, 'run'],
    ['all_success', { total: 2, succeeded: 1, failed: 0, skipped: 1 }, 'skip'],
    ['all_success', { total: 0, succeeded: 0, failed: 0, skipped: 0 }, 'run'],
    ['all_done', { total: 2, succeeded: 0, failed: 1, skipped: 1 }, 'run'],
    ['all_done', { total: 2, succeeded: 0, failed: 1, skipped: 0 }, 'wait'],
    ['all_failed', { total: 2, succeeded: 0, failed: 2, skipped: 0 }, 'run'],
    ['all_failed', { total: 2, succeeded: 1, failed: 0, skipped: 0 }, 'skip'],
    ['one_success', { total: 3, succeeded: 1, failed: 0, skipped: 0 }, 'run'],
    ['one_success', { total: 2, succeeded: 0, failed: 1, skipped: 1 }, 'skip'],
    ['one_failed', { total: 3, succeeded: 0, failed: 1, skipped: 0 }, 'run'],
    ['one_failed', { total: 2, succeeded: 2, failed: 0, skipped: 0 }, 'skip'],
    ['none_failed', { total: 2, succeeded: 0, failed: 0, skipped: 2 }, 'run'],
    ['none_failed', { total: 2, succeeded: 0, failed: 1, skipped: 0 }, 'skip'],
    ['none_failed_min_one_success', { total: 2, succeeded: 0, failed: 0, skipped: 2 }, 'skip'],
    ['none_failed_min_one_success', { total: 2, succeeded: 1, failed: 0, skipped: 1 }, 'run'],
    ['always', { total: 2, succeeded: 0, failed: 0, skipped: 0 }, 'run'],
  ] as const)('%s with %j is %s', (rule, now, wanted) => expect(decide(rule, now)).toBe(wanted))
})

describe('the moves', () => {
  it.each([
    ['run', runStates, runMoves],
    ['step', stepStates, stepMoves],
  ] as [string, readonly string[], Record<string, readonly string[]>][])(
    'of a %s lead from everywhere to an end, and from no end anywhere',
    (_, states, moves) => {
      const ends = states.filter((state) => moves[state]?.length === 0)
      expect(ends).toContain('succeeded')
      for (const state of states) {
        const reached = new Set([state])
        for (const at of reached) for (const next of moves[at] ?? []) reached.add(next)
        expect(ends.some((one) => reached.has(one))).toBe(true)
      }
      const fromStart = new Set([states[0] ?? ''])
      for (const at of fromStart) for (const next of moves[at] ?? []) fromStart.add(next)
      expect([...fromStart].sort()).toEqual([...states].sort())
    },
  )
})
