import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import type { RunId } from '#src/domain/id.ts'
import { engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'

let database: OwnDatabase
let owner: pg.Client
let calls: EngineCalls
let tenantId: Awaited<ReturnType<typeof newBareTenant>>

beforeAll(async () => {
  database = await ownDatabase()
  owner = database.owner
  tenantId = await newBareTenant(owner)
  calls = await engineCalls(database.url, tenantId)
})
afterAll(async () => {
  await calls.end()
  await database.drop()
})

const around = [
  { key: 'before', needs: [], when: 'all_success' },
  { key: 'each', needs: ['before'], when: 'all_success' },
  { key: 'after', needs: ['each'], when: 'all_success' },
] as const

const items = (count: number) => Array.from({ length: count }, (_, i) => ({ n: i + 1 }))

/** A run whose map has just been expanded, and the first item that its delivery was given. */
async function expanded(total: number, atOnce: number) {
  const pipelineId = await plannedPipeline(
    owner,
    tenantId,
    around.map((step) => ({ ...step, needs: [...step.needs] })),
  )
  const runId = await calls.start(pipelineId)
  const claim = await calls.claim(runId, null, 'm')
  if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
  const each = (await calls.complete(runId, claim.step, { state: 'succeeded', rowsOut: 0 }, 'm')).step
  if (!each) throw new Error('the map is not ready')
  const cursor = { items: items(total) }
  const { step, wakes } = await calls.complete(
    runId,
    each,
    { state: 'waiting', cursor, map: { total, atOnce } },
    'm',
  )
  if (!step) throw new Error('no item is ready')
  return { runId, first: step, wakes }
}

const rowsOf = async (runId: RunId) =>
  (
    await owner.query<{ key: string; map_index: number; state: string }>(
      'select key, map_index, state from steps where run_id = $1 order by position, map_index',
      [runId],
    )
  ).rows

const done = (runId: RunId, step: ClaimedStep) =>
  calls.complete(runId, step, { state: 'succeeded', rowsOut: 0, output: { index: step.mapIndex } }, 'm')

describe('a map', () => {
  it('has a row for every item that was begun, and never more at work than it may', async () => {
    const { runId, first, wakes } = await expanded(50, 4)
    expect(wakes).toHaveLength(3)
    let step: ClaimedStep | null | undefined = first
    const seen: number[] = []
    while (step && step.mapIndex > 0) {
      expect(step).toMatchObject({ kind: 'item', cursor: { item: { n: step.mapIndex } } })
      const open = (await rowsOf(runId)).filter(
        ({ map_index, state }) => map_index > 0 && state !== 'succeeded',
      )
      expect(open.length).toBeLessThanOrEqual(4)
      seen.push(step.mapIndex)
      step = (await done(runId, step)).step
    }
    expect(seen.toSorted((one, other) => one - other)).toEqual(items(50).map(({ n }) => n))
    expect(step).toMatchObject({ key: 'each', mapIndex: 0, answer: { items: 'ended' }, attempt: 1 })
    if (step) step = (await done(runId, step)).step
    expect(step).toMatchObject({ key: 'after' })
    if (step) expect((await done(runId, step)).runState).toBe('succeeded')
  })

  it('goes on with the next item when one has failed, and is told when all have ended', async () => {
    const { runId, first } = await expanded(3, 1)
    const failed = await calls.complete(
      runId,
      first,
      { state: 'failed', rowsOut: 0, error: { code: 'x', message: 'no' } },
      'm',
    )
    expect(failed.step).toMatchObject({ mapIndex: 2 })
    const third = failed.step ? (await done(runId, failed.step)).step : undefined
    const parent = third ? (await done(runId, third)).step : undefined
    expect(parent).toMatchObject({ key: 'each', mapIndex: 0 })
    expect((await rowsOf(runId)).map(({ state }) => state)).toEqual([
      'succeeded',
      'running',
      'failed',
      'succeeded',
      'succeeded',
      'pending',
    ])
  })

  it('leaves no item behind when the run is cancelled while some are at work', async () => {
    const { runId, first } = await expanded(10, 3)
    expect(await calls.cancel(runId)).toMatchObject({ runState: 'cancelling' })
    expect((await calls.complete(runId, first, { state: 'cancelled' }, 'm')).runState).toBe('cancelled')
    expect(new Set((await rowsOf(runId)).map(({ state }) => state))).toEqual(
      new Set(['succeeded', 'cancelled']),
    )
  })

  it('counts an item once, however often its end is told', async () => {
    const { runId, first } = await expanded(3, 2)
    await done(runId, first)
    await expect(done(runId, first)).rejects.toMatchObject({ code: 'WE001' })
    const { rows } = await owner.query(
      'select map_open, map_begun from steps where run_id = $1 and map_total is not null',
      [runId],
    )
    expect(rows).toEqual([{ map_open: 2, map_begun: 3 }])
  })
})
