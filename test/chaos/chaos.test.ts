import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planOf } from './plan.ts'
import { play } from './seeds.ts'
import { openStage, type Stage } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ tenants: 2, seed: 1 })
})
afterAll(() => stage?.stop())

describe('random pipelines while everything breaks', () => {
  it('end as their definitions say, with every row there once and nothing left behind', async () => {
    const { outcomes, leaks } = await play(stage, [4, 37])
    expect(outcomes.flatMap(({ plan, verdict }) => verdict.words.map((words) => [plan.seed, words]))).toEqual(
      [],
    )
    expect(leaks).toEqual([])
    expect(outcomes.flatMap(({ plan }) => plan.acts).length).toBeGreaterThan(3)
    // Longer than the patience after which a run is called stuck: then it is told which.
  }, 120_000)
})

describe('a seed', () => {
  it('means the same plan every time', () => {
    const text = (seed: number) => JSON.stringify(planOf(seed))
    expect(text(42)).toBe(text(42))
    expect(text(42)).not.toBe(text(43))
  })

  it('is, of two hundred, one with every kind of step and every kind of trouble', () => {
    const plans = Array.from({ length: 200 }, (_, i) => planOf(i + 1))
    const kinds = new Set(plans.flatMap(({ steps }) => steps.map(({ yaml }) => /^[a-z]+/.exec(yaml)?.[0])))
    expect([...kinds].toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
      'call',
      'check',
      'extract',
      'from',
      'load',
      'map',
      'pipeline',
      'script',
      'sql',
      'wait',
    ])
    const acts = plans.flatMap(({ acts: all }) =>
      all.map((act) => (act.kind === 'trouble' ? act.trouble : act.kind)),
    )
    expect(new Set(acts).size).toBe(12)
  })
})
