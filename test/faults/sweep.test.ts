import { describe, expect, it } from 'vitest'
import { newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { leftovers } from '#test/support/ledger.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const calls = await fileCalls(database, tenantId)

describe('the outbox', () => {
  const swept = async () => {
    const { rows } = await calls.client.query<{ tenant_id: string; payload: { runId: string } }>(
      'select * from app.sweep(1000)',
    )
    return rows.filter((row) => row.tenant_id === tenantId).map((row) => row.payload.runId)
  }
  const fork = ['lost', 'rests'].map((key) => ({ key, needs: [], when: 'all_success' as const }))
  const claimed = async (runId: Awaited<ReturnType<EngineCalls['start']>>, delivery: string) => {
    const claim = await calls.claim(runId, null, delivery)
    if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
    return claim
  }

  it('wakes a run whose step lost its holder, even while another step of it waits for tomorrow', async () => {
    const runId = await calls.start(await plannedPipeline(owner, tenantId, fork))
    await claimed(runId, 'msg_dies')
    const rests = await claimed(runId, 'msg_rests')
    await owner.query('delete from outbox where tenant_id = $1', [tenantId])
    await calls.complete(runId, rests.step, { state: 'waiting', delayMs: 86_400_000 }, 'msg_rests')
    expect(await swept()).toEqual([])
    await owner.query(
      `update steps set lease_until = now() - interval '1 s' where run_id = $1 and key = 'lost'`,
      [runId],
    )
    expect(await swept()).toEqual([runId])
    expect(await swept()).toEqual([])
    expect((await claimed(runId, 'msg_third')).step).toMatchObject({ key: 'lost', attempt: 2 })
  })

  it('wakes a run whose time is up, and then nothing of it waits any longer', async () => {
    const runId = await calls.start(await plannedPipeline(owner, tenantId, fork, { timeoutMs: 60_000 }))
    const first = await claimed(runId, 'msg_a')
    const { step: second } = await calls.complete(
      runId,
      first.step,
      { state: 'waiting', delayMs: 3_600_000 },
      'msg_a',
    )
    if (!second) throw new Error('the second step was not taken')
    await calls.complete(runId, second, { state: 'ready', delayMs: 3_600_000 }, 'msg_a')
    await owner.query('delete from outbox where tenant_id = $1 and not_before is null', [tenantId])
    expect(await swept()).toEqual([])
    expect((await calls.claim(runId, null, 'msg_c')).outcome).toBe('idle')
    await owner.query(`update runs set deadline_at = now() - interval '1 s' where id = $1`, [runId])
    expect(await swept()).toEqual([runId])
    expect((await claimed(runId, 'msg_d')).step.key).toBe('lost')
    expect((await claimed(runId, 'msg_e')).step.key).toBe('rests')
  })

  it('hands out one wake-up for each branch that a step opens but the one that its delivery takes', async () => {
    const branches = ['b', 'c', 'd'].map((key) => ({ key, needs: ['a'], when: 'all_success' as const }))
    const runId = await calls.start(
      await plannedPipeline(owner, tenantId, [{ key: 'a', needs: [], when: 'all_success' }, ...branches]),
    )
    const first = await claimed(runId, 'msg_a')
    const { step, wakes } = await calls.complete(runId, first.step, { state: 'succeeded' }, 'msg_a')
    expect([step?.key, wakes.length]).toEqual(['b', 2])
  })

  it('leaves one message behind for one that was consumed, however often that one is delivered', async () => {
    const runId = await calls.start(await plannedPipeline(owner, tenantId, fork.slice(0, 1)))
    await owner.query('delete from outbox where tenant_id = $1', [tenantId])
    const only = await claimed(runId, 'msg_a')
    const { wakes } = await calls.complete(
      runId,
      only.step,
      { state: 'waiting', delayMs: 3_600_000 },
      'msg_a',
    )
    const outboxId = wakes[0]?.id ?? 0
    for (let copy = 0; copy < 4; copy++)
      expect((await calls.claim(runId, outboxId, 'msg_early')).outcome).toBe('idle')
    expect((await leftovers(owner, runId)).wakes).toBe(1)
  })

  it('gives the place of a connection to a run that can take it, not to one whose next attempt is tomorrow', async () => {
    await owner.query(
      `insert into connections (tenant_id, id, name, kind, config, concurrency) values ($1, 'con_narrow', 'narrow', 'files', '{}', 1)`,
      [tenantId],
    )
    const pipelineId = await plannedPipeline(owner, tenantId, [
      { key: 'only', needs: [], when: 'all_success', connection: 'narrow' },
    ])
    const [tired, works, waits, last] = [
      await calls.start(pipelineId),
      await calls.start(pipelineId),
      await calls.start(pipelineId),
      await calls.start(pipelineId),
    ]
    const failed = await claimed(tired, 'msg_tired')
    await calls.complete(tired, failed.step, { state: 'ready', delayMs: 86_400_000 }, 'msg_tired')
    const { step } = await claimed(works, 'msg_works')
    for (const early of [waits, last])
      expect((await calls.claim(early, null, 'msg_early')).outcome).toBe('idle')
    const { wakes } = await calls.complete(works, step, { state: 'succeeded' }, 'msg_works')
    expect(wakes.map(({ runId }) => runId)).toEqual([waits])
    // One who was to take it and never came is not waited for.
    await owner.query('delete from outbox where tenant_id = $1', [tenantId])
    expect(await swept()).not.toContain(waits)
    await owner.query(`update runs set started_at = now() - interval '61 s' where id = any($1)`, [
      [waits, last],
    ])
    expect(await swept()).toEqual([waits])
    await calls.complete(waits, (await claimed(waits, 'msg_waits')).step, { state: 'succeeded' }, 'msg_waits')
    expect((await claimed(last, 'msg_last')).step.key).toBe('only')
  })

  it('gives both free places away when two runs end at once and wake the same third', async () => {
    const pipelineId = await plannedPipeline(owner, tenantId, fork.slice(0, 1), { concurrency: 2 })
    const [one, two, other, another] = [
      await calls.start(pipelineId),
      await calls.start(pipelineId),
      await calls.start(pipelineId),
      await calls.start(pipelineId),
    ]
    // Ids of one millisecond are in no order, and the lower one is next.
    const [three, four] = other < another ? [other, another] : [another, other]
    const ends = [await claimed(one, 'msg_one'), await claimed(two, 'msg_two')]
    for (const waiting of [three, four])
      expect((await calls.claim(waiting, null, 'msg_early')).outcome).toBe('queued')
    const woken = []
    for (const [i, run] of [one, two].entries()) {
      const step = ends[i]?.step
      if (step) woken.push(...(await calls.complete(run, step, { state: 'succeeded' }, 'msg')).wakes)
    }
    expect(woken.map(({ runId }) => runId)).toEqual([three, three])
    expect((await claimed(three, 'msg_three')).wakes).toMatchObject([{ runId: four }])
  })
})
