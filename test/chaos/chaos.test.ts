import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planOf } from '#test/chaos/plan.ts'
import { play } from '#test/chaos/seeds.ts'
import { openStage, type Stage } from '#test/chaos/stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage({ tenants: 2, seed: 1 })
})
afterAll(() => stage?.stop())

describe('random pipelines while everything breaks', () => {
  it('end as their definitions say, with every row there once and nothing left behind', async () => {
    const outcomes = await play(stage, [1, 2, 3, 4, 5])
    for (const { plan, verdict } of outcomes) expect([plan.seed, verdict.words]).toEqual([plan.seed, []])
    expect(outcomes.flatMap(({ plan }) => plan.faults).length).toBeGreaterThan(3)
    expect(await stage.openTransactions()).toBe(0)
  })
})

describe('a seed', () => {
  it('means the same plan every time', () => {
    expect(planOf(42)).toEqual(planOf(42))
    expect(planOf(42).yaml).not.toBe(planOf(43).yaml)
  })
})
