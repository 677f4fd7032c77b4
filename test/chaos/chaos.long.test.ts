import { expect, it } from 'vitest'
import { play } from './seeds.ts'
import { openStage } from './stage.ts'

it('a dozen random pipelines end as their definitions say while everything breaks, with nothing left behind', async () => {
  const stage = await openStage({ tenants: 6, seed: 1 })
  try {
    const { outcomes, leaks } = await play(stage, [1, 3, 9, 11, 15, 17, 18, 22, 26, 31, 36, 40])
    expect(outcomes.flatMap(({ plan, verdict }) => verdict.words.map((words) => [plan.seed, words]))).toEqual(
      [],
    )
    expect(leaks).toEqual([])
  } finally {
    await stage.stop()
  }
}, 240_000)
