import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Id, PipelineId } from '#src/domain/id.ts'
import { newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { cases } from '#test/support/long-form.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'
import {
  endRun,
  fire,
  planned,
  plannedSchedule,
  runsOf,
  type Fire,
  type ScheduleOptions,
} from '#test/support/trigger-calls.ts'

const database = await fileDatabase()
const tenantId = await newBareTenant(database.owner)
const otherTenant = await newBareTenant(database.owner)
const sessions = await Promise.all([1, 2, 3].map(() => fileCalls(database, tenantId)))
const stranger = await fileCalls(database, otherTenant)

const session = (i = 0): EngineCalls => sessions[i % sessions.length] as EngineCalls
const oneStep = [{ key: 'one', needs: [], when: 'all_success' as const }]
const newPipeline = (tenant = tenantId) => plannedPipeline(database.owner, tenant, oneStep)
const begin = new Date('2026-03-01T00:00:00Z')
const minute = (n: number) => new Date(begin.getTime() + n * 60_000)
const minutes = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => minute(from + i).toISOString())
const times = async (pipelineId: PipelineId) => (await runsOf(database.owner, pipelineId)).map(({ at }) => at)

async function scheduled(options: Partial<ScheduleOptions> = {}) {
  const pipelineId = await newPipeline()
  const id = await plannedSchedule(database.owner, tenantId, pipelineId, { next: minute(0), ...options })
  return { pipelineId, id }
}
const at = async (id: Id<'schedule'>, now: Date): Promise<Fire> => {
  const found = await planned(database.owner, id, now)
  if (!found) throw new Error('nothing is due')
  return found
}

describe('firing', () => {
  /** Each tick: how many minutes pass, and for its message how often it is delivered, and after which others. */
  const histories = fc.array(
    fc.record({
      pass: fc.integer({ min: 0, max: 3 }),
      copies: fc.integer({ min: 0, max: 3 }),
      late: fc.integer({ min: 0, max: 3 }),
    }),
    { minLength: 1, maxLength: 14 },
  )

  it('makes one run of each time of each schedule, whatever is lost, doubled and reordered', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const mine = [await scheduled({ catchUp: 'all' }), await scheduled({ catchUp: 'all' })]
        const queue: { fires: Fire[]; after: number }[] = []
        let now = 0
        const deliver = async (upTo: number) => {
          const ready = queue.filter(({ after }) => after <= upTo).toReversed()
          for (const each of ready) queue.splice(queue.indexOf(each), 1)
          await Promise.all(
            sessions.map(async (one, i) => {
              for (const { fires } of ready.filter((_, n) => n % sessions.length === i))
                await fire(one, fires)
            }),
          )
        }
        const tick = async () => {
          const fires: Fire[] = []
          for (const { id } of mine) {
            const due = await planned(database.owner, id, minute(now), 59_999)
            if (due) fires.push(due)
          }
          return fires
        }
        for (const [i, { pass, copies, late }] of history.entries()) {
          now += pass
          const fires = await tick()
          for (let copy = 0; copy < copies; copy++) {
            const part = copy % 2 === 0 ? fires : fires.toReversed()
            if (part.length > 0) queue.push({ fires: part, after: i + (copy === 0 ? 0 : late) })
          }
          await deliver(i)
        }
        await deliver(Number.MAX_SAFE_INTEGER)
        for (let fires = await tick(); fires.length > 0; fires = await tick()) await fire(session(), fires)
        for (const { pipelineId } of mine) expect(await times(pipelineId)).toEqual(minutes(0, now))
      }),
      cases(40),
    )
  })

  it('fires a hundred in one call, each once when it is made three times at once', async () => {
    const all: Awaited<ReturnType<typeof scheduled>>[] = []
    const fires: Fire[] = []
    for (let i = 0; i < 100; i++) {
      const one = await scheduled()
      all.push(one)
      fires.push(await at(one.id, minute(0)))
    }
    const results = await Promise.all(sessions.map((one) => fire(one, fires)))
    expect(results.map(({ fired }) => fired).toSorted((a, b) => b - a)).toEqual([100, 0, 0])
    expect(new Set(results.flatMap(({ wakes }) => wakes.map(({ runId }) => runId))).size).toBe(100)
    for (const { pipelineId } of all) expect(await times(pipelineId)).toEqual(minutes(0, 0))
  })

  it("fires nothing of another tenant, of a paused or of a deleted pipeline, and keeps a paused one's time", async () => {
    const { pipelineId, id } = await scheduled()
    const fires = [await at(id, minute(0))]
    expect((await fire(stranger, fires)).fired).toBe(0)
    await database.owner.query('update pipelines set paused_at = now() where id = $1', [pipelineId])
    expect((await fire(session(), fires)).fired).toBe(0)
    await database.owner.query('update pipelines set paused_at = null, deleted_at = now() where id = $1', [
      pipelineId,
    ])
    expect((await fire(session(), fires)).fired).toBe(0)
    await database.owner.query('update pipelines set deleted_at = null where id = $1', [pipelineId])
    expect(await fire(session(), fires)).toMatchObject({ fired: 1, skipped: 0 })
    expect(await times(pipelineId)).toEqual(minutes(0, 0))
  })

  it.each([
    ['all', minutes(0, 99)],
    ['last', minutes(200, 200)],
    ['none', minutes(198, 200)],
  ] as const)('catches up on %s of what was missed', async (catchUp, expected) => {
    const { pipelineId, id } = await scheduled({ catchUp })
    await fire(session(), [await at(id, minute(200))])
    expect(await times(pipelineId)).toEqual(expected)
    if (catchUp !== 'all') return
    await fire(session(), [await at(id, minute(200))])
    await fire(session(), [await at(id, minute(200))])
    expect(await times(pipelineId)).toEqual(minutes(0, 200))
    await fire(session(), [await at(id, minute(5_000))])
    expect((await times(pipelineId)).slice(201)).toEqual(minutes(4_001, 4_100))
  })
})

describe('overlapping', () => {
  it('skips a time while a run that a schedule started is under way', async () => {
    const { pipelineId, id } = await scheduled({ overlap: 'skip' })
    await fire(session(), [await at(id, minute(0))])
    expect(await fire(session(), [await at(id, minute(1))])).toMatchObject({ skipped: 1, wakes: [] })
    const [first] = await runsOf(database.owner, pipelineId)
    await endRun(session(), first?.id ?? 'run_')
    expect(await fire(session(), [await at(id, minute(2))])).toMatchObject({ skipped: 0 })
    expect(await times(pipelineId)).toEqual([minute(0), minute(2)].map((each) => each.toISOString()))
  })

  it('queues times behind each other, and starts the next with the end of the one before', async () => {
    const { pipelineId, id } = await scheduled({ overlap: 'queue' })
    for (const n of [0, 1, 2]) await fire(session(n), [await at(id, minute(n))])
    for (const n of [0, 1, 2]) {
      const runs = await runsOf(database.owner, pipelineId)
      expect(runs.map((run) => run.at)).toEqual(minutes(0, n))
      const wakes = await endRun(session(), runs.at(-1)?.id ?? 'run_', n === 1 ? 'failed' : 'succeeded')
      expect(wakes).toHaveLength(n === 2 ? 0 : 1)
    }
    await fire(session(), [await at(id, minute(3))])
    expect(await times(pipelineId)).toEqual(minutes(0, 3))
  })

  it('loses no time when it comes at the moment when the run before ends', async () => {
    for (let round = 0; round < 25; round++) {
      const { pipelineId, id } = await scheduled({ overlap: 'queue' })
      await fire(session(), [await at(id, minute(0))])
      const [first] = await runsOf(database.owner, pipelineId)
      const next = await at(id, minute(1))
      await Promise.all([endRun(session(1), first?.id ?? 'run_'), fire(session(2), [next])])
      expect(await times(pipelineId)).toEqual(minutes(0, 1))
    }
  })

  it('cancels the run before, and starts the last of several times', async () => {
    const { pipelineId, id } = await scheduled({ overlap: 'cancel', catchUp: 'all' })
    await fire(session(), [await at(id, minute(0))])
    expect(await fire(session(), [await at(id, minute(4))])).toMatchObject({ skipped: 3 })
    const runs = await runsOf(database.owner, pipelineId)
    expect(runs.map((run) => [run.at, run.state])).toEqual([
      [minute(0).toISOString(), 'cancelled'],
      [minute(4).toISOString(), 'queued'],
    ])
  })

  it('heeds only runs that a schedule of this pipeline started', async () => {
    const { pipelineId, id } = await scheduled({ overlap: 'skip' })
    await session().start(pipelineId)
    expect(await fire(session(), [await at(id, minute(0))])).toMatchObject({ skipped: 0 })
    expect(await times(pipelineId)).toEqual([minute(0).toISOString(), null])
  })
})

describe('what is due', () => {
  const look = async (aheadMs = 60_000) => {
    const { rows } = await session().client.query<{ id: string }>(
      `select id from app.due_schedules($1 * interval '1 ms', 1000)`,
      [aheadMs],
    )
    return rows.map(({ id }) => id)
  }
  const late = async () =>
    (
      await database.owner.query<{ schedule_id: string }>(
        "select schedule_id from app.late_schedules('2 minutes')",
      )
    ).rows.map((row) => row.schedule_id)
  const age = (id: string, column: string) =>
    database.owner.query(`update schedules set ${column} = ${column} - interval '3 minutes' where id = $1`, [
      id,
    ])

  it('is given out once, before its time; again when nobody fired it; and is late then', async () => {
    await database.owner.query('delete from schedules')
    const soon = await scheduled({ next: new Date(Date.now() + 30_000) })
    await scheduled({ next: new Date(Date.now() + 300_000) })
    expect(await look()).toEqual([soon.id])
    expect(await look()).toEqual([])
    await age(soon.id, 'next_fire_at')
    expect(await look()).toEqual([])
    await age(soon.id, 'announced_at')
    expect(await look()).toEqual([soon.id])
    expect(await late()).toEqual([])
    await age(soon.id, 'overdue_since')
    expect(await late()).toEqual([soon.id])
    await database.owner.query('update pipelines set paused_at = now() where id = $1', [soon.pipelineId])
    await age(soon.id, 'announced_at')
    expect([await look(), await late()]).toEqual([[], []])
    await database.owner.query('update pipelines set paused_at = null where id = $1', [soon.pipelineId])
    await fire(session(), [await at(soon.id, new Date())])
    expect(await late()).toEqual([])
  })
})
