import * as fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { newId, type RunId } from '#src/domain/id.ts'
import { decide } from '#src/domain/run-state.ts'
import type { Rerun, RerunRefusal } from '#src/db/control.ts'
import { chance, Crowd } from '#test/support/crowd.ts'
import { newBareTenant, plannedPipeline, type PlannedStep } from '#test/support/engine-calls.ts'
import { graphs } from '#test/support/engine-model.ts'
import { leftovers, nothing } from '#test/support/ledger.ts'
import { fileCalls, fileDatabase, filePool } from '#test/support/per-file.ts'

const database = await fileDatabase()
const owner = filePool(database.ownerUrl)
const tenantId = await newBareTenant(database.owner)
const calls = await fileCalls(database, tenantId)
const crowd = await Crowd.gather(owner, database.url, tenantId, 2)
afterAll(() => crowd.leave())

type Step = {
  key: string
  state: string
  fence: number
  attempt: number
  cursor: unknown
  copied_from: string | null
  needs_succeeded: number
  needs_failed: number
  needs_skipped: number
}

async function stepsOf(runId: RunId): Promise<Map<string, Step>> {
  const { rows } = await owner.query<Step>(
    `select key, state, fence::int, attempt, cursor, copied_from, needs_succeeded, needs_failed, needs_skipped
     from steps where run_id = $1 and map_index = 0`,
    [runId],
  )
  return new Map(rows.map((row) => [row.key, row]))
}

async function rerun(of: RunId, from: string): Promise<(Rerun | RerunRefusal) & { id: RunId }> {
  const id = newId('run')
  const { rows } = await calls.client.query<{ made: Rerun | RerunRefusal }>(
    `select app.rerun_run($1, $2, $3, '{"reason": "to see"}') as made`,
    [id, of, from],
  )
  const [row] = rows
  if (!row) throw new Error('no answer')
  return { ...row.made, id }
}

/** What is to be done again: what is asked for, what was cancelled, and whatever follows. */
function redone(graph: readonly PlannedStep[], steps: ReadonlyMap<string, Step>, from: string): Set<string> {
  const again = new Set<string>()
  for (const { key, needs } of graph) {
    const state = steps.get(key)?.state
    const isAsked = from === 'all' || from === key || (from === 'failed' && state === 'failed')
    if (isAsked || state === 'cancelled' || needs.some((need) => again.has(need))) again.add(key)
  }
  return again
}

function countsOf(step: PlannedStep, steps: ReadonlyMap<string, Step>) {
  const count = (...states: string[]) =>
    step.needs.filter((need) => states.includes(steps.get(need)?.state ?? '')).length
  return { succeeded: count('succeeded'), failed: count('failed', 'cancelled'), skipped: count('skipped') }
}

const work = () => crowd.finish(['succeed', 'fail'], chance(draw++))
let draw = 1

async function check(of: RunId, from: string, graph: readonly PlannedStep[]): Promise<RunId | undefined> {
  const before = await stepsOf(of)
  const made = await rerun(of, from)
  const again = redone(graph, before, from)
  if ('refused' in made) {
    if (made.refused === 'nothing') expect([from, again.size]).toEqual(['failed', 0])
    else {
      expect(made.refused).toBe('skipped')
      const first = graph.find(({ key }) => again.has(key))
      expect(first && decide(first.when, { total: first.needs.length, ...countsOf(first, before) })).toBe(
        'skip',
      )
    }
    expect((await owner.query('select from runs where id = $1', [made.id])).rowCount).toBe(0)
    return undefined
  }
  const begun = await stepsOf(made.id)
  for (const step of graph) {
    const [old, now] = [before.get(step.key), begun.get(step.key)]
    if (!old || !now) throw new Error(`there is no step ${step.key}`)
    if (!again.has(step.key)) {
      expect(now).toEqual({ ...old, fence: 0, cursor: null, copied_from: old.copied_from ?? of })
      continue
    }
    const counts = countsOf(step, begun)
    const verdict =
      step.needs.length === 0 ? 'run' : decide(step.when, { total: step.needs.length, ...counts })
    expect(now).toMatchObject({
      state: { run: 'ready', skip: 'skipped', wait: 'pending' }[verdict],
      attempt: 0,
      fence: 0,
      cursor: null,
      copied_from: null,
    })
    if (verdict === 'wait')
      expect([now.needs_succeeded, now.needs_failed, now.needs_skipped]).toEqual(Object.values(counts))
  }
  await work()
  const { rows } = await owner.query(
    `select r.state, r.rerun_of, r.trigger, r.scheduled_for is not distinct from o.scheduled_for as same,
       (select data->>'reason' from run_events e where e.run_id = r.id and e.seq = 1) as reason
     from runs r join runs o on o.id = $2 where r.id = $1`,
    [made.id, of],
  )
  const failed = [...(await stepsOf(made.id)).values()].some(({ state }) => state === 'failed')
  expect(rows).toEqual([
    { state: failed ? 'failed' : 'succeeded', rerun_of: of, trigger: 'rerun', same: true, reason: 'to see' },
  ])
  for (const [key, step] of await stepsOf(made.id)) if (!again.has(key)) expect(step).toEqual(begun.get(key))
  expect(await leftovers(owner, made.id)).toEqual(nothing)
  return made.id
}

describe('a rerun', () => {
  it('does again what is asked for and what follows, and takes the rest over as it ended, again and again', async () => {
    const plan = fc.record({
      graph: graphs,
      from: fc.constantFrom('failed', 'all', 's0', 's1', 's2', 's4'),
      next: fc.constantFrom('failed', 'all', 's0', 's3'),
      cancel: fc.boolean(),
    })
    let made = 0
    await fc.assert(
      fc.asyncProperty(plan, async ({ graph, from, next, cancel }) => {
        const runId = await calls.start(await plannedPipeline(database.owner, tenantId, graph))
        if (cancel) await calls.cancel(runId)
        await work()
        const has = (key: string) =>
          key === 'failed' || key === 'all' || graph.some((step) => step.key === key)
        if (!has(from)) {
          expect(await rerun(runId, from)).toMatchObject({ refused: 'step' })
          return
        }
        const second = await check(runId, from, graph)
        if (!second) return
        made++
        if (has(next)) await check(second, next, graph)
      }),
      { numRuns: 60, endOnFailure: true },
    )
    expect(made).toBeGreaterThan(10)
  }, 120_000)

  it('is refused while the run is under way, and when its pipeline is gone', async () => {
    const pipelineId = await plannedPipeline(database.owner, tenantId, [
      { key: 's0', needs: [], when: 'all_success' },
    ])
    const runId = await calls.start(pipelineId)
    expect(await rerun(runId, 'all')).toMatchObject({ refused: 'open' })
    await work()
    await owner.query('update pipelines set deleted_at = now() where id = $1', [pipelineId])
    expect(await rerun(runId, 'all')).toMatchObject({ refused: 'deleted' })
  })
})
