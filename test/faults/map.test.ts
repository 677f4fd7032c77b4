import { describe, expect, it } from 'vitest'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import type { RunId } from '#src/domain/id.ts'
import {
  codeOf,
  engineCalls,
  newBareTenant,
  plannedPipeline,
  type EngineCalls,
} from '#test/support/engine-calls.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const calls = await fileCalls(database, tenantId)

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
    { state: 'waiting', cursor, map: { total, atOnce, ended: 0 } },
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

  it('does not keep what is beside it waiting for its items', async () => {
    const when = 'all_success' as const
    const pipelineId = await plannedPipeline(owner, tenantId, [
      { key: 'each', needs: [], when },
      { key: 'beside', needs: [], when },
      { key: 'further', needs: ['beside'], when },
    ])
    const runId = await calls.start(pipelineId)
    const claim = await calls.claim(runId, null, 'm')
    if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
    const map = { total: 50, atOnce: 10, ended: 0 }
    const cursor = { items: items(50) }
    let { step } = await calls.complete(runId, claim.step, { state: 'waiting', cursor, map }, 'm')
    const taken: string[] = []
    for (let n = 0; n < 3 && step; n++) {
      taken.push(`${step.key} ${step.mapIndex}`)
      step = (await done(runId, step)).step
    }
    expect(taken).toEqual(['beside 0', 'further 0', 'each 1'])
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

describe('a map inside a map', () => {
  const waiting = (total: number, atOnce: number) => ({
    state: 'waiting' as const,
    cursor: { item: { n: 1 }, at: 0, inner: { items: items(total), map: 'parts' }, outputs: { before: 1 } },
    map: { total, atOnce, ended: 0 },
  })

  /** Two items that have both come to their map of three, two of them at once. */
  async function nested() {
    const { runId, first } = await expanded(2, 2)
    const second = (await calls.complete(runId, first, waiting(3, 2), 'm')).step
    if (second?.mapIndex !== 2) throw new Error('the second item is not ready')
    const inner = (await calls.complete(runId, second, waiting(3, 2), 'm')).step
    if (!inner) throw new Error('no inner item is ready')
    return { runId, first, second, inner }
  }

  const innerRows = async (runId: RunId) =>
    (await rowsOf(runId))
      .filter(({ key }) => key === 'each.parts')
      .map(({ map_index, state }) => `${map_index} ${state}`)

  it('has a row for every item that was begun, which knows what is around it, and never more at work than it may', async () => {
    const { runId, inner } = await nested()
    expect(inner).toMatchObject({
      key: 'each.parts',
      mapIndex: 100_001,
      cursor: { item: { n: 1 } },
      around: { item: { n: 1 }, outputs: { before: 1 } },
    })
    expect(await innerRows(runId)).toEqual(['100001 running', '100002 ready', '200001 ready', '200002 ready'])
    const seen: string[] = []
    let step: ClaimedStep | null | undefined = inner
    while (step && step.key !== 'after') {
      seen.push(`${step.key} ${step.mapIndex}`)
      const open = (await innerRows(runId)).filter((row) => !row.endsWith('succeeded'))
      expect(open.filter((row) => row.startsWith('1')).length).toBeLessThanOrEqual(2)
      expect(open.filter((row) => row.startsWith('2')).length).toBeLessThanOrEqual(2)
      step = (await done(runId, step)).step
    }
    expect(seen.toSorted()).toEqual(
      [
        'each 0',
        'each 1',
        'each 2',
        ...[1, 2].flatMap((n) => [1, 2, 3].map((i) => `each.parts ${n}0000${i}`)),
      ].toSorted(),
    )
    // Each item comes after its own, the step after both.
    expect(seen.indexOf('each 1')).toBeGreaterThan(seen.indexOf('each.parts 100003'))
    expect(seen.indexOf('each 2')).toBeGreaterThan(seen.indexOf('each.parts 200003'))
    expect(seen.at(-1)).toBe('each 0')
  })

  it('takes its items from whoever works on them when the item around it ends without them, and no others', async () => {
    const { runId, inner } = await nested()
    await owner.query(
      `update steps set next_attempt_at = now() where run_id = $1 and key = 'each' and map_index = 1`,
      [runId],
    )
    const claim = await calls.claim(runId, null, 'late')
    if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
    expect(claim.step).toMatchObject({ key: 'each', mapIndex: 1, answer: null })
    const error = { code: 'timeout', message: 'too long' }
    await calls.complete(runId, claim.step, { state: 'failed', error }, 'late')
    expect((await innerRows(runId)).map((row) => row.replace(/running|ready/, 'open'))).toEqual([
      '100001 cancelled',
      '100002 cancelled',
      '200001 open',
      '200002 open',
    ])
    await expect(done(runId, inner)).rejects.toMatchObject({ code: 'WE001' })
  })

  it('counts an item once, also while the item around it is looked at', async () => {
    const { runId, inner } = await nested()
    await owner.query(
      `update steps set next_attempt_at = now() where run_id = $1 and key = 'each' and map_index = 1`,
      [runId],
    )
    const claim = await calls.claim(runId, null, 'looks')
    if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
    await done(runId, inner)
    await expect(done(runId, inner)).rejects.toMatchObject({ code: 'WE001' })
    const { rows } = await owner.query(
      `select state, map_open, map_begun from steps where run_id = $1 and key = 'each' and map_index = 1`,
      [runId],
    )
    expect(rows).toEqual([{ state: 'running', map_open: 2, map_begun: 3 }])
  })

  it('is refused where the run would have more than 100,000 items, and then has begun none', async () => {
    const { runId, first } = await expanded(2, 1)
    await owner.query('update runs set items = 99998 where id = $1', [runId])
    expect(await codeOf(calls.complete(runId, first, waiting(3, 1), 'm'))).toBe('WE006')
    expect(await innerRows(runId)).toEqual([])
    expect(await codeOf(calls.complete(runId, first, waiting(2, 1), 'm'))).toBe('ok')
  })
})

describe('items that were worked out with their map', () => {
  const ended = [1, 2].map((n) => ({ state: 'succeeded', rowsOut: 0, output: { n } }))
  const write = (
    by: EngineCalls,
    runId: RunId,
    { key, mapIndex, fence }: ClaimedStep,
    inner: string | null,
  ) =>
    by.client.query('select app.end_items($1, $2, $3, $4, $5, $6)', [
      runId,
      key,
      mapIndex,
      inner,
      fence,
      JSON.stringify(ended),
    ])

  it('are written by who holds it alone, and by nobody of another tenant', async () => {
    const { runId, first } = await expanded(2, 1)
    const strangers = await engineCalls(database.url, await newBareTenant(owner))
    try {
      expect(await codeOf(write(strangers, runId, first, 'parts'))).toBe('WE001')
    } finally {
      await strangers.end()
    }
    expect(await codeOf(write(calls, runId, { ...first, fence: first.fence - 1 }, 'parts'))).toBe('WE001')
    expect(await codeOf(write(calls, runId, first, 'parts'))).toBe('ok')
    expect((await rowsOf(runId)).filter(({ key }) => key === 'each.parts')).toEqual([
      { key: 'each.parts', map_index: 100_001, state: 'succeeded' },
      { key: 'each.parts', map_index: 100_002, state: 'succeeded' },
    ])
    const { rows } = await owner.query(
      `select r.items, r.events, count(*)::int as told, max(seq) as last from runs r join run_events e on e.run_id = r.id
       where r.id = $1 group by 1, 2`,
      [runId],
    )
    const [run] = rows as { items: number; events: number; told: number; last: number }[]
    expect(run).toMatchObject({ items: 4, told: run?.events, last: run?.events })
  })

  it('are not written any more when the run is being cancelled', async () => {
    const { runId, first } = await expanded(2, 1)
    await calls.cancel(runId)
    expect(await codeOf(write(calls, runId, first, 'parts'))).toBe('WE002')
  })
})
