import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import { engineCalls, newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { graphs, Model, operations } from '#test/support/engine-model.ts'
import { leftovers, nothing } from '#test/support/ledger.ts'
import { cases } from '#test/support/long-form.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const calls = await fileCalls(database, tenantId)

describe('the functions that move a run', () => {
  it('bring every run of every graph to its end, whatever is claimed, lost, repeated or cancelled meanwhile', async () => {
    const plan = fc.record({
      graph: graphs,
      concurrency: fc.constantFrom(null, 1, 2),
      allDie: fc.boolean(),
      ops: fc.array(operations, { minLength: 5, maxLength: 40 }),
    })
    await fc.assert(
      fc.asyncProperty(plan, async ({ graph, concurrency, allDie, ops }) => {
        const pipelineId = await plannedPipeline(owner, tenantId, graph, { concurrency })
        const model = new Model(owner, calls, tenantId, pipelineId, concurrency)
        await owner.query('delete from outbox where tenant_id = $1', [tenantId])
        await model.start()
        for (const op of ops) {
          await model.perform(op)
          await model.check()
        }
        await model.drain(allDie)
        await model.check()
        for (const runId of model.runs) {
          expect(await leftovers(owner, runId)).toMatchObject({
            unfinished: 0,
            running: 0,
            leases: 0,
            eventGaps: 0,
          })
        }
      }),
      cases(60),
    )
  })

  it('give each of forty steps to one of eight deliveries that ask all at once', async () => {
    const graph = Array.from({ length: 40 }, (_, i) => ({
      key: `s${String(i).padStart(2, '0')}`,
      needs:
        i < 10
          ? []
          : [
              `s${String(i - 10).padStart(2, '0')}`,
              `s${String(i - 7 < 0 ? 0 : (i - 7) % 10).padStart(2, '0')}`,
            ],
      when: 'all_success' as const,
    }))
    const runId = await calls.start(await plannedPipeline(owner, tenantId, graph))
    const done: string[] = []
    const work = async (n: number): Promise<void> => {
      const own = await engineCalls(database.url, tenantId)
      const delivery = `msg_worker_${n}`
      while (done.length < graph.length) {
        const claim = await own.claim(runId, null, delivery)
        let step: ClaimedStep | null | undefined = claim.outcome === 'claimed' ? claim.step : undefined
        while (step) {
          const { key } = step
          const completion = await own.complete(runId, step, { state: 'succeeded' }, delivery)
          done.push(key)
          step = completion.step
        }
        if (claim.outcome === 'over') break
      }
      await own.end()
    }
    await Promise.all(Array.from({ length: 8 }, (_, n) => work(n)))
    expect(done.toSorted()).toEqual(graph.map(({ key }) => key))
    await owner.query(`delete from outbox where payload->>'runId' = $1`, [runId])
    expect(await leftovers(owner, runId)).toEqual(nothing)
    const { rowCount } = await owner.query(`select from steps where run_id = $1 and attempt <> 1`, [runId])
    expect(rowCount).toBe(0)
  })
})
