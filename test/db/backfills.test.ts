import { describe, expect, it } from 'vitest'
import { newId, type Id, type PipelineId, type RunId } from '#src/domain/id.ts'
import { newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'
import { endRun, runsOf } from '#test/support/trigger-calls.ts'

const database = await fileDatabase()
const tenantId = await newBareTenant(database.owner)
const otherTenant = await newBareTenant(database.owner)
const sessions = await Promise.all([1, 2, 3].map(() => fileCalls(database, tenantId)))
const stranger = await fileCalls(database, otherTenant)

const session = (i = 0): EngineCalls => sessions[i % sessions.length] as EngineCalls
const newPipeline = () =>
  plannedPipeline(database.owner, tenantId, [{ key: 'one', needs: [], when: 'all_success' }])
const day = (n: number) => new Date(Date.UTC(2026, 0, 1 + n)).toISOString()
const days = (count: number) => Array.from({ length: count }, (_, n) => day(n))

async function call<T>(calls: EngineCalls, text: string, params: unknown[]): Promise<T> {
  const { rows } = await calls.client.query<{ value: T }>(`select ${text} as value`, params)
  return rows[0]?.value as T
}

async function backfill(
  pipelineId: PipelineId,
  times: string[],
  concurrency: number,
  skip = false,
  calls = session(),
): Promise<{ id: Id<'backfill'>; wakes: { runId: RunId }[] }> {
  const id = newId('backfill')
  const wakes = await call<{ runId: RunId }[]>(
    calls,
    `app.start_backfill($1, $2, 1, '{}', '{}', $3, $4, $5)`,
    [id, pipelineId, times, concurrency, skip],
  )
  return { id, wakes }
}
const move = (id: string, from: string[], to: string, calls = session()) =>
  call<{ runId: RunId }[] | null>(calls, 'app.move_backfill($1, $2, $3)', [id, from, to])
async function standing(id: string) {
  const { rows } = await database.owner.query(
    `select state, taken, skipped, running, succeeded, failed, cancelled, finished_at is not null as over from backfills where id = $1`,
    [id],
  )
  return rows[0]
}
const open = async (pipelineId: PipelineId) =>
  (await runsOf(database.owner, pipelineId)).filter(({ state }) => state === 'queued')

describe('a backfill', () => {
  it('makes its runs as others end, in its order and never more at once than it may', async () => {
    const pipelineId = await newPipeline()
    const { id } = await backfill(pipelineId, days(10_000), 3)
    expect((await runsOf(database.owner, pipelineId)).map(({ at }) => at)).toEqual(days(3))
    for (let i = 0; i < 5; i++) {
      const [oldest] = await open(pipelineId)
      expect(await endRun(session(), oldest?.id ?? 'run_', i === 1 ? 'failed' : 'succeeded')).toHaveLength(1)
    }
    expect((await open(pipelineId)).map(({ at }) => at)).toEqual([day(5), day(6), day(7)])
    expect(await standing(id)).toEqual({
      state: 'running',
      taken: 8,
      skipped: 0,
      running: 3,
      succeeded: 4,
      failed: 1,
      cancelled: 0,
      over: false,
    })
  })

  it('makes one run of each time and finishes, when its runs end at the same moment', async () => {
    const pipelineId = await newPipeline()
    const { id } = await backfill(pipelineId, days(40), 3)
    for (let left = await open(pipelineId); left.length > 0; left = await open(pipelineId)) {
      await Promise.all(left.map(({ id: runId }, i) => endRun(session(i), runId)))
    }
    expect((await runsOf(database.owner, pipelineId)).map(({ at }) => at)).toEqual(days(40))
    expect(await standing(id)).toMatchObject({ state: 'finished', succeeded: 40, running: 0, over: true })
  })

  it('leaves out what has succeeded already, when it is told to', async () => {
    const pipelineId = await newPipeline()
    const first = await backfill(pipelineId, days(4), 4)
    for (const [i, { id }] of (await open(pipelineId)).entries())
      await endRun(session(), id, i === 2 ? 'failed' : 'succeeded')
    expect(await standing(first.id)).toMatchObject({ state: 'finished', succeeded: 3, failed: 1 })
    const second = await backfill(pipelineId, days(6), 10, true)
    expect((await open(pipelineId)).map(({ at }) => at)).toEqual([day(2), day(4), day(5)])
    expect(await standing(second.id)).toMatchObject({ taken: 6, skipped: 3, running: 3 })
    const third = await backfill(pipelineId, days(2), 1, true)
    expect([third.wakes, await standing(third.id)]).toMatchObject([[], { state: 'finished', skipped: 2 }])
  })

  it('starts nothing while it is paused, and goes on where it was', async () => {
    const pipelineId = await newPipeline()
    const { id, wakes } = await backfill(pipelineId, days(5), 2)
    await move(id, ['running'], 'paused')
    expect(await move(id, ['running'], 'paused')).toBeNull()
    for (const { runId } of wakes) expect(await endRun(session(), runId)).toEqual([])
    expect(await standing(id)).toMatchObject({ state: 'paused', running: 0, succeeded: 2, over: false })
    expect(await move(id, ['paused'], 'running')).toHaveLength(2)
    expect((await open(pipelineId)).map(({ at }) => at)).toEqual([day(2), day(3)])
  })

  it('stops its runs when it is cancelled, also while they end', async () => {
    for (let round = 0; round < 10; round++) {
      const pipelineId = await newPipeline()
      const { id, wakes } = await backfill(pipelineId, days(30), 6)
      const ends = wakes.slice(0, 2).map(({ runId }, i) => endRun(session(i + 1), runId).catch(() => []))
      await move(id, ['running', 'paused'], 'cancelled')
      await call(session(), 'app.stop_backfill_runs($1)', [id])
      await Promise.all(ends)
      // A step that was claimed at that moment is cancelled by its own delivery.
      for (const { id: runId } of (await runsOf(database.owner, pipelineId)).filter(
        ({ state }) => state === 'cancelling',
      ))
        await session().claim(runId, null, `d-${runId}`, true)
      const runs = await runsOf(database.owner, pipelineId)
      expect(runs.every(({ state }) => ['cancelled', 'succeeded'].includes(state))).toBe(true)
      expect(await standing(id)).toMatchObject({
        state: 'cancelled',
        running: 0,
        over: true,
        taken: runs.length,
        cancelled: runs.filter(({ state }) => state === 'cancelled').length,
      })
    }
  })

  it("is out of another tenant's reach", async () => {
    const pipelineId = await newPipeline()
    const { id } = await backfill(pipelineId, days(3), 1)
    expect(await move(id, ['running'], 'cancelled', stranger)).toBeNull()
    expect(await call(stranger, 'app.stop_backfill_runs($1)', [id])).toEqual([])
    expect((await backfill(pipelineId, days(3), 1, false, stranger)).wakes).toBeNull()
    expect(await standing(id)).toMatchObject({ state: 'running', running: 1 })
  })
})
