import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { RunId } from '#src/domain/id.ts'
import { deliver } from '#src/engine/deliver.ts'
import { connect, end, pipeline, readRun, start, upload } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
/** A world whose messages are all lost: only what is delivered by hand happens, a small part of it a time. */
let mute: World
let acme: Tenant
let slow: Tenant
let owner: pg.Client
beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  const deliveryLimits = { wallMs: 60_000, calls: 2 }
  ;[here, mute] = await Promise.all([
    world(),
    world((services) => ({ ...services, send: () => Promise.resolve(), neverHere: true, deliveryLimits })),
    owner.connect(),
  ])
  ;[acme, slow] = await Promise.all([here.tenant(), mute.tenant()])
})
afterAll(() => Promise.all([here.close(), mute.close(), owner.end()]))

const byHand = (runId: string) =>
  deliver(
    mute.services,
    { tenantId: slow.id, runId: runId as RunId },
    { id: crypto.randomUUID(), retry: false },
  )

/** Lets the attempt under way have begun so much earlier. */
const ageAttempt = (runId: string, seconds: number) =>
  owner.query(
    `update steps set attempt_at = attempt_at - $2 * interval '1 s', next_attempt_at = null where run_id = $1`,
    [runId, seconds],
  )
const wakeUp = (runId: string) =>
  owner.query(`update steps set next_attempt_at = now() where run_id = $1 and next_attempt_at is not null`, [
    runId,
  ])

const timedOut = {
  state: 'failed',
  error: { code: 'timeout', message: 'Step one took longer than its 60 s.' },
}

describe("a step's time", () => {
  it('goes on while it waits, and ends the wait', async () => {
    const runId = await start(
      acme,
      await pipeline(acme, 'steps: [{ id: one, wait: { for: 1h }, timeout: 2s }]\n'),
    )
    const startedMs = Date.now()
    const { state, steps } = await end(acme, runId)
    expect([state, steps[0]?.error?.code]).toEqual(['failed', 'timeout'])
    expect(Date.now() - startedMs).toBeGreaterThan(1_500)
    expect(Date.now() - startedMs).toBeLessThan(15_000)
  })

  it('does not end the wait well when the Worker that wakes has a clock that is behind', async () => {
    const runId = await start(
      slow,
      await pipeline(slow, 'steps: [{ id: one, wait: { for: 1h }, timeout: 60s, retry: { attempts: 1 } }]\n'),
    )
    await byHand(runId)
    await ageAttempt(runId, 59)
    await owner.query(`update steps set next_attempt_at = now() where run_id = $1`, [runId])
    await byHand(runId)
    expect((await readRun(slow, runId)).steps[0]).toMatchObject({ state: 'waiting' })
    await ageAttempt(runId, 2)
    await owner.query(`update steps set next_attempt_at = now() where run_id = $1`, [runId])
    await byHand(runId)
    expect((await readRun(slow, runId)).steps[0]).toMatchObject(timedOut)
  })

  it('goes on through continuations in other deliveries', async () => {
    await upload(slow, await connect(slow, 'files', 'bucket'), 'a.csv', 'a\n1\n')
    const runId = await start(
      slow,
      await pipeline(
        slow,
        'steps: [{ id: one, extract: { connection: bucket, stream: a.csv }, into: a, timeout: 60s, retry: { attempts: 1 } }]\n',
      ),
    )
    await byHand(runId)
    const before = (await readRun(slow, runId)).steps[0]
    expect(before).toMatchObject({ state: 'ready', attempt: 1, rowsOut: 1 })
    await ageAttempt(runId, 61)
    await byHand(runId)
    expect((await readRun(slow, runId)).steps[0]).toMatchObject({ ...timedOut, attempt: 1 })
  })

  it('is not over a second before it is, and begins anew with a retry', async () => {
    await connect(slow, 'postgres', 'shut', { ...inject('warehouse'), port: 1 })
    const runId = await start(
      slow,
      await pipeline(
        slow,
        'steps: [{ id: one, extract: { connection: shut, stream: public.a }, into: b, timeout: 60s, retry: { attempts: 3, first: 1h, jitter: false } }]\n',
      ),
    )
    await byHand(runId)
    expect((await readRun(slow, runId)).steps[0]).toMatchObject({ state: 'ready', attempt: 1 })
    const { rows } = await owner.query('select attempt_at from steps where run_id = $1', [runId])
    expect(rows).toEqual([{ attempt_at: null }])
    await ageAttempt(runId, 59)
    await wakeUp(runId)
    await byHand(runId)
    expect((await readRun(slow, runId)).steps[0]).toMatchObject({
      state: 'ready',
      attempt: 2,
      error: { code: 'connection_refused' },
    })
  })
})

describe("a tenant's limit", () => {
  const lasts = async (timeout: string, mostMs: number | null): Promise<number> => {
    const limited = await slow.fetch('/v1/tenant', { method: 'PATCH', body: { maxRunMs: mostMs } })
    expect(await limited.json()).toEqual({ id: slow.id, maxRunMs: mostMs })
    const runId = await start(
      slow,
      await pipeline(slow, `timeout: ${timeout}\nsteps: [{ id: one, wait: { for: 5h } }]\n`),
    )
    await byHand(runId)
    const { rows } = await owner.query<{ ms: number }>(
      `select (extract(epoch from deadline_at - started_at) * 1000)::int as ms from runs where id = $1`,
      [runId],
    )
    return rows[0]?.ms ?? 0
  }

  it('holds for every run, where the pipeline’s own is not shorter', async () => {
    expect(await lasts('1h', null)).toBe(3_600_000)
    expect(await lasts('1h', 90_000)).toBe(90_000)
    expect(await lasts('30s', 90_000)).toBe(30_000)
  })

  it('ends what is under way', async () => {
    await slow.fetch('/v1/tenant', { method: 'PATCH', body: { maxRunMs: 60_000 } })
    const runId = await start(slow, await pipeline(slow, 'steps: [{ id: one, wait: { for: 5h } }]\n'))
    await byHand(runId)
    await owner.query(`update runs set deadline_at = now() - interval '1 s' where id = $1`, [runId])
    await byHand(runId)
    const { state, steps } = await readRun(slow, runId)
    expect([state, steps[0]?.error?.code]).toEqual(['failed', 'run_timeout'])
  })
})
