import * as fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { Mark, Marked } from '#src/db/control.ts'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import { newId, type RunId } from '#src/domain/id.ts'
import { decide, type StepState } from '#src/domain/run-state.ts'
import { chance, Crowd } from '#test/support/crowd.ts'
import { codeOf, newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { graphs } from '#test/support/engine-model.ts'
import { leftovers, nothing } from '#test/support/ledger.ts'
import { fileCalls, fileDatabase, filePool } from '#test/support/per-file.ts'

const database = await fileDatabase()
const owner = filePool(database.ownerUrl)
const tenantId = await newBareTenant(database.owner)
const calls = await fileCalls(database, tenantId)
const crowd = await Crowd.gather(owner, database.url, tenantId, 2)
afterAll(() => crowd.leave())

async function mark(runId: RunId, step: string | undefined, as: Mark): Promise<Marked | null> {
  const { rows } = await calls.client.query<{ value: Marked | null }>(
    step === undefined
      ? `select app.mark_run($1, $2, 'it is known') as value`
      : `select app.mark_step($1, $3, $2, 'it is known') as value`,
    step === undefined ? [runId, as] : [runId, as, step],
  )
  return rows[0]?.value ?? null
}

const statesOf = async (runId: RunId) =>
  new Map(
    (
      await owner.query<{ key: string; state: StepState }>(
        'select key, state from steps where run_id = $1 and map_index = 0',
        [runId],
      )
    ).rows.map(({ key, state }) => [key, state]),
  )

const runOf = async (runId: RunId) =>
  (
    await owner.query<{ state: string; unfinished: number; over: boolean }>(
      'select state, unfinished, finished_at is not null as over from runs where id = $1',
      [runId],
    )
  ).rows[0]

const eventsOf = async (runId: RunId) =>
  (
    await owner.query<{ type: string; step_key: string | null; data: unknown }>(
      'select type, step_key, data from run_events where run_id = $1 order by seq',
      [runId],
    )
  ).rows

/** Claims and completes a little, so that some steps are held, some wait and some have ended. */
async function begin(runId: RunId, ops: readonly ('hold' | 'end' | 'wait' | 'fail')[]) {
  const held: ClaimedStep[] = []
  for (const [i, op] of ops.entries()) {
    const claim = await calls.claim(runId, null, `msg_${runId}_${i}`)
    let step = claim.outcome === 'claimed' ? claim.step : undefined
    while (step) {
      if (op === 'hold') {
        held.push(step)
        break
      }
      const result =
        op === 'end'
          ? ({ state: 'succeeded' } as const)
          : op === 'fail'
            ? ({ state: 'failed', error: { code: 'x', message: 'x' } } as const)
            : ({ state: 'waiting', delayMs: 3_600_000, answerKey: 'k' } as const)
      const next: ClaimedStep | null | undefined = (
        await calls.complete(runId, step, result, `msg_${runId}_${i}`)
      ).step
      if (next) held.push(next)
      break
    }
  }
  return held
}

const open: ReadonlySet<string> = new Set(['ready', 'running', 'waiting'])

describe('a step that somebody marks', () => {
  it('ends so and what follows goes on by it, whatever the run was at, and who held it has lost it', async () => {
    const plan = fc.record({
      graph: graphs,
      ops: fc.array(fc.constantFrom('hold' as const, 'end' as const, 'wait' as const, 'fail' as const), {
        maxLength: 4,
      }),
      key: fc.nat(5),
      as: fc.constantFrom<Mark>('succeeded', 'failed'),
    })
    let marked = 0
    await fc.assert(
      fc.asyncProperty(plan, async ({ graph, ops, key, as }) => {
        const runId = await calls.start(await plannedPipeline(database.owner, tenantId, graph))
        const held = await begin(runId, ops)
        const before = await statesOf(runId)
        const was = await runOf(runId)
        const step = `s${key % graph.length}`
        const state = before.get(step) ?? ''
        const answer = await mark(runId, step, as)
        if (was?.over) expect(answer).toMatchObject({ refused: 'over' })
        else if (!open.has(state))
          expect(answer).toEqual({ refused: state === 'pending' ? 'pending' : 'ended', stepState: state })
        else {
          marked++
          const after = await statesOf(runId)
          expect(after.get(step)).toBe(as)
          for (const each of graph) {
            const now = after.get(each.key) ?? ''
            if (each.key === step || each.needs.length === 0) continue
            const count = (...of: string[]) =>
              each.needs.filter((need) => of.includes(after.get(need) ?? '')).length
            const verdict = decide(each.when, {
              total: each.needs.length,
              succeeded: count('succeeded'),
              failed: count('failed', 'cancelled'),
              skipped: count('skipped'),
            })
            expect([each.key, now === 'pending' ? 'wait' : now === 'skipped' ? 'skip' : 'run']).toEqual([
              each.key,
              verdict,
            ])
          }
          const told = (await eventsOf(runId)).filter(({ data }) => JSON.stringify(data).includes('marked'))
          expect(told).toEqual([
            { type: `step.${as}`, step_key: step, data: { marked: true, reason: 'it is known' } },
          ])
          const unfinished = [...after.values()].filter((each) => open.has(each) || each === 'pending').length
          const run = await runOf(runId)
          expect(run).toMatchObject({ unfinished, over: unfinished === 0 })
          const isWaiting = ![...after.values()].some((each) => each === 'ready' || each === 'running')
          if (!run?.over && was?.state === 'running')
            expect(run?.state).toBe(isWaiting ? 'waiting' : 'running')
          const lost = held.find((holder) => holder.key === step)
          if (lost) {
            expect(await codeOf(calls.complete(runId, lost, { state: 'succeeded' }, 'late'))).toBe('WE001')
            expect(await codeOf(calls.checkpoint(runId, lost))).toBe('WE001')
            expect(await calls.renew(runId, lost)).toBe('lost')
          }
        }
        await owner.query(
          `update steps set next_attempt_at = now(), lease_until = case when state = 'running' then now() - interval '1 s' end
           where run_id = $1 and state in ('waiting', 'running')`,
          [runId],
        )
        await owner.query(
          `insert into outbox (tenant_id, kind, payload, send_after) values ($1, 'run', $2, now())`,
          [tenantId, JSON.stringify({ runId })],
        )
        await crowd.finish(['succeed'], chance(key))
        // A message that is for later finds the run over when it comes.
        expect({ ...(await leftovers(owner, runId)), wakes: 0 }).toEqual(nothing)
      }),
      { numRuns: 80, endOnFailure: true },
    )
    expect(marked).toBeGreaterThan(20)
  }, 120_000)

  it('is no dead letter', async () => {
    const runId = await calls.start(
      await plannedPipeline(database.owner, tenantId, [{ key: 'one', needs: [], when: 'all_success' }]),
    )
    await begin(runId, ['hold'])
    expect(await mark(runId, 'one', 'failed')).toMatchObject({ runState: 'failed' })
    expect((await owner.query('select from dead_letters where run_id = $1', [runId])).rowCount).toBe(0)
    const { rows } = await owner.query('select error from steps where run_id = $1', [runId])
    expect(rows).toEqual([{ error: { code: 'marked', message: 'Marked as failed: it is known' } }])
  })
})

describe('a run that somebody marks', () => {
  it('ends so at once with all its steps, gives its places back and is answered for', async () => {
    const plan = fc.record({
      graph: graphs,
      ops: fc.array(fc.constantFrom('hold' as const, 'end' as const, 'wait' as const), { maxLength: 3 }),
      as: fc.constantFrom<Mark>('succeeded', 'failed'),
    })
    await fc.assert(
      fc.asyncProperty(plan, async ({ graph, ops, as }) => {
        const pipelineId = await plannedPipeline(database.owner, tenantId, graph, { concurrency: 1 })
        const runId = await calls.start(pipelineId)
        const next = await calls.start(pipelineId)
        const held = await begin(runId, ops)
        if ((await runOf(runId))?.over) return crowd.finish(['succeed'], chance(2))
        const before = await statesOf(runId)
        await owner.query('delete from outbox where tenant_id = $1', [tenantId])
        const answer = await mark(runId, undefined, as)
        expect(answer).toMatchObject({ runState: as, wakes: [{ runId: next }] })
        expect(await runOf(runId)).toEqual({ state: as, unfinished: 0, over: true })
        for (const [key, state] of await statesOf(runId)) {
          const was = before.get(key) ?? ''
          expect(state).toBe(open.has(was) || was === 'pending' ? 'cancelled' : was)
        }
        expect((await eventsOf(runId)).slice(-2)).toEqual([
          { type: 'run.marked', step_key: null, data: { as, reason: 'it is known' } },
          { type: `run.${as}`, step_key: null, data: null },
        ])
        for (const step of held)
          expect(await codeOf(calls.complete(runId, step, { state: 'succeeded' }, 'late'))).toBe('WE001')
        expect(await leftovers(owner, runId)).toEqual(nothing)
        expect(await mark(runId, undefined, as)).toEqual({ refused: 'over', runState: as })
        await crowd.finish(['succeed'], chance(1))
        expect(await leftovers(owner, next)).toEqual(nothing)
      }),
      { numRuns: 40, endOnFailure: true },
    )
  }, 120_000)

  it('stops the runs that it waits for, and drops what its loads have staged', async () => {
    const pipelineId = await plannedPipeline(database.owner, tenantId, [
      { key: 'publish', needs: [], when: 'all_success' },
    ])
    const connectionId = newId('connection')
    await owner.query(
      `insert into connections (tenant_id, id, name, kind, config) values ($1, $2, 'house', 'postgres', '{}')`,
      [tenantId, connectionId],
    )
    await owner.query(
      `update pipeline_versions set plan = jsonb_set(plan, '{0,kind}', '"load"'),
         definition = definition || '{"steps": [{"id": "publish", "load": {"connection": "house", "table": "public.t"}}]}'
       where pipeline_id = $1`,
      [pipelineId],
    )
    const runId = await calls.start(pipelineId)
    await begin(runId, ['hold'])
    const child = await calls.start(pipelineId)
    await owner.query(`update runs set parent_run_id = $2, parent_step_key = 'publish' where id = $1`, [
      child,
      runId,
    ])
    expect(await mark(runId, undefined, 'failed')).toMatchObject({ runState: 'failed' })
    expect(await runOf(child)).toMatchObject({ state: 'cancelled', over: true })
    const { rows } = await owner.query<{ payload: { loadId: string } }>(
      `select payload from outbox where tenant_id = $1 and kind = 'connection.drop_stage'`,
      [tenantId],
    )
    const digest = await crypto.subtle.digest(
      'SHA-256',
      new TextEncoder().encode(`${tenantId} ${runId} publish`),
    )
    const loadId = Buffer.from(digest).subarray(0, 12).toString('hex')
    expect(rows).toEqual([{ payload: { connectionId, table: 'public.t', loadId } }])
  })
})
