import { describe, expect, it } from 'vitest'
import type { Claim, ClaimedStep } from '#src/db/run-moves.ts'
import { newId, type RunId } from '#src/domain/id.ts'
import { decide, whens } from '#src/domain/run-state.ts'
import { codeOf, newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { leftovers, nothing } from '#test/support/ledger.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const first = await fileCalls(database, tenantId)
const second = await fileCalls(database, tenantId)

const steps = (...keys: string[]) => keys.map((key) => ({ key, needs: [], when: 'all_success' as const }))

function claimedStep(claim: Claim): ClaimedStep {
  if (claim.outcome !== 'claimed') throw new Error(`nothing was claimed: ${claim.outcome}`)
  return claim.step
}

const expire = (runId: RunId, key: string) =>
  owner.query(`update steps set lease_until = now() - interval '1 s' where run_id = $1 and key = $2`, [
    runId,
    key,
  ])

describe('a delivery whose step went to another', () => {
  it.each([
    [
      'its lease ran out',
      async (runId: RunId) => {
        await expire(runId, 'only')
        return second.claim(runId, null, 'msg_other')
      },
    ],
    [
      'QStash asked again because it had no answer',
      (runId: RunId) => second.claim(runId, null, 'msg_one', true),
    ],
  ])('can neither checkpoint nor complete, when %s', async (_, takeOver) => {
    const runId = await first.start(await plannedPipeline(owner, tenantId, steps('only')))
    const stale = claimedStep(await first.claim(runId, null, 'msg_one'))
    await first.checkpoint(runId, stale, { place: 'before' })
    const fresh = claimedStep(await takeOver(runId))
    expect(fresh).toMatchObject({ key: 'only', attempt: 2, cursor: { place: 'before' } })
    expect(fresh.fence).toBeGreaterThan(stale.fence)

    expect(await codeOf(first.checkpoint(runId, stale, { place: 'stale' }))).toBe('WE001')
    expect(await codeOf(first.complete(runId, stale, { state: 'succeeded', rowsOut: 7 }, 'msg_one'))).toBe(
      'WE001',
    )
    expect(await codeOf(first.complete(runId, stale, { state: 'failed' }, 'msg_one'))).toBe('WE001')
    expect(await first.renew(runId, stale)).toBe('lost')

    await second.checkpoint(runId, fresh, { place: 'after' })
    expect(
      await second.complete(runId, fresh, { state: 'succeeded', rowsOut: 5 }, 'msg_other'),
    ).toMatchObject({ runState: 'succeeded' })
    const { rows } = await owner.query('select state, rows_out::int, cursor from steps where run_id = $1', [
      runId,
    ])
    expect(rows).toEqual([{ state: 'succeeded', rows_out: 5, cursor: { place: 'after' } }])
    expect(await codeOf(first.complete(runId, stale, { state: 'succeeded' }, 'msg_one'))).toBe('WE001')
  })

  it('takes back the rows of the transaction that it could not end', async () => {
    const runId = await first.start(await plannedPipeline(owner, tenantId, steps('fills')))
    const stale = claimedStep(await first.claim(runId, null, 'msg_one'))
    const version = newId('datasetVersion')
    const columns = JSON.stringify([{ name: 'id', type: 'integer', nullable: true }])
    await first.client.query('select app.create_version($1, $2, $3, $4, $5, $6)', [
      version,
      newId('dataset'),
      'fenced',
      runId,
      'fills',
      columns,
    ])
    await expire(runId, 'fills')
    claimedStep(await second.claim(runId, null, 'msg_two'))
    await first.client.query('begin')
    await first.client.query(`insert into data."${version}" select generate_series(1, 1000)`)
    expect(await codeOf(first.checkpoint(runId, stale))).toBe('WE001')
    await first.client.query('commit')
    const { rows } = await owner.query(`select count(*)::int as rows from data."${version}"`)
    expect(rows).toEqual([{ rows: 0 }])
  })

  it('is not told that it lost the step by its own completion', async () => {
    const runId = await first.start(await plannedPipeline(owner, tenantId, steps('only', 'next')))
    const step = claimedStep(await first.claim(runId, null, 'msg_one'))
    await first.complete(runId, step, { state: 'succeeded' }, 'msg_one')
    expect(await second.renew(runId, step)).toBe('held')
  })
})

describe('two deliveries of one run', () => {
  it('complete side by side after both have made a version, without waiting for each other for ever', async () => {
    const runId = await first.start(await plannedPipeline(owner, tenantId, steps('left', 'right')))
    const sides = [
      { calls: first, step: claimedStep(await first.claim(runId, null, 'msg_one')) },
      { calls: second, step: claimedStep(await second.claim(runId, null, 'msg_two')) },
    ]
    for (const { calls, step } of sides) {
      await calls.client.query('begin')
      await calls.client.query('select app.create_version($1, $2, $3, $4, $5, $6)', [
        newId('datasetVersion'),
        newId('dataset'),
        `made_by_${step.key}`,
        runId,
        step.key,
        JSON.stringify([{ name: 'id', type: 'integer', nullable: true }]),
      ])
    }
    const ends = sides.map(async ({ calls, step }) => {
      const code = await codeOf(calls.complete(runId, step, { state: 'succeeded' }, step.key))
      await calls.client.query('commit')
      return code
    })
    expect(await Promise.all(ends)).toEqual(['ok', 'ok'])
    await owner.query(`delete from outbox where payload->>'runId' = $1`, [runId])
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })

  it('end a cancelled run even when one of its two steps has lost its holder', async () => {
    const runId = await first.start(await plannedPipeline(owner, tenantId, steps('dead', 'alive')))
    claimedStep(await first.claim(runId, null, 'msg_one'))
    const alive = claimedStep(await second.claim(runId, null, 'msg_two'))
    expect(await second.cancel(runId)).toEqual({ runState: 'cancelling' })
    await expire(runId, 'dead')
    expect(await first.claim(runId, null, 'msg_three')).toMatchObject({ outcome: 'over' })
    expect(await codeOf(second.checkpoint(runId, alive))).toBe('WE002')
    expect(await second.complete(runId, alive, { state: 'cancelled' }, 'msg_two')).toMatchObject({
      runState: 'cancelled',
    })
    await owner.query(`delete from outbox where payload->>'runId' = $1`, [runId])
    expect(await leftovers(owner, runId)).toEqual(nothing)
  })
})

describe('app.decide', () => {
  it('says what decide() says, whatever became of up to five steps', async () => {
    const cases = []
    for (const when of whens) {
      for (let total = 1; total <= 5; total++) {
        for (let succeeded = 0; succeeded <= total; succeeded++) {
          for (let failed = 0; succeeded + failed <= total; failed++) {
            for (let skipped = 0; succeeded + failed + skipped <= total; skipped++) {
              cases.push({
                when,
                total,
                succeeded,
                failed,
                skipped,
                verdict: decide(when, { total, succeeded, failed, skipped }),
              })
            }
          }
        }
      }
    }
    expect(cases.length).toBeGreaterThan(900)
    const { rows } = await owner.query(
      `select c.*, app.decide(c."when", c.total, c.succeeded, c.failed, c.skipped) as verdict
       from jsonb_array_elements($1) with ordinality as j(value, n),
         jsonb_to_record(j.value) as c("when" text, total int, succeeded int, failed int, skipped int)
       order by j.n`,
      [JSON.stringify(cases)],
    )
    expect(rows).toEqual(cases)
  })
})
