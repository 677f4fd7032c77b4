import type pg from 'pg'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { connectDatabase } from '#src/db/database.ts'
import { fireSchedules } from '#src/db/schedules.ts'
import { newId, type RunId, type TenantId } from '#src/domain/id.ts'
import { codeOf, engineCalls, newBareTenant, type EngineCalls } from '#test/support/engine-calls.ts'
import type { OwnDatabase } from '#test/support/own-database.ts'
import { leave, oneStep, quotaDatabase, race, sessionsAtOnce } from '#test/support/quota-race.ts'
import { endRun, fire, planned, plannedSchedule, runsOf } from '#test/support/trigger-calls.ts'

let database: OwnDatabase
let owner: pg.Client
let tenant: TenantId
let one: EngineCalls
let two: EngineCalls
beforeAll(async () => {
  database = await quotaDatabase()
  owner = database.owner
  tenant = await newBareTenant(owner)
  one = await engineCalls(database.url, tenant)
  two = await engineCalls(database.url, tenant)
})
afterAll(async () => {
  await Promise.all([one.end(), two.end()])
  await database.leave()
})

const runsOfTenant = async () =>
  (await owner.query('select from runs where tenant_id = $1', [tenant])).rowCount ?? 0

describe('starts of every kind at once', () => {
  it.each([1, 2])('begin exactly as many runs as are left (seed %i)', async (seed) => {
    const { wanted, left, begun, counted, refused } = await race(database, seed, 2)
    expect(left).toBeLessThan(wanted)
    expect([begun, counted]).toEqual([left, left])
    expect(refused).toBeGreaterThan(0)
  })

  it('wait for one that began when there were enough, before they begin the last', async () => {
    const pipeline = await oneStep(owner, tenant)
    const left = 4 * sessionsAtOnce + 5
    await leave(owner, tenant, left)
    const before = await runsOfTenant()
    await one.client.query('begin')
    for (let i = 0; i < 3; i++) await one.start(pipeline)
    let over = false
    const others = (async () => {
      for (let i = 0; i < left; i++) await two.client.query(startOf, [newId('run'), pipeline])
      over = true
    })()
    await pause(500)
    const meanwhile = [over, (await runsOfTenant()) - before]
    await one.client.query('commit')
    await others
    expect(meanwhile).toEqual([false, 5])
    expect((await runsOfTenant()) - before).toBe(left)
  })

  it('are taken back, not kept waiting, where they hold what the one whose turn it is may want', async () => {
    const [first, next] = [await oneStep(owner, tenant), await oneStep(owner, tenant)]
    await leave(owner, tenant, 1)
    const run = await one.start(first)
    const schedule = await plannedSchedule(owner, tenant, next, { next: new Date(Date.now() - 1_000) })
    const due = await planned(owner, schedule, new Date())
    await leave(owner, tenant, 1)
    await one.client.query('begin')
    await one.client.query(startOf, [newId('run'), first])
    await two.client.query('begin')
    expect(await codeOf(fire(two, due ? [due] : []))).toBe('WE004')
    await two.client.query('rollback')
    await endRun(one, run)
    await one.client.query('commit')
    expect(await fire(two, due ? [due] : [])).toMatchObject({ fired: 1, refused: 1, wakes: [] })
  })

  it('come again by themselves, in their turn, where the Worker asks for them', async () => {
    const pipeline = await oneStep(owner, tenant)
    const schedule = await plannedSchedule(owner, tenant, pipeline, { next: new Date(Date.now() - 1_000) })
    const due = await planned(owner, schedule, new Date())
    const env = inject('env')
    const worker = connectDatabase({
      url: database.url,
      gateway: env['NEON_GATEWAY'],
      claimKey: env['CLAIM_KEY'] ?? '',
      now: () => new Date(),
    })
    await leave(owner, tenant, 2)
    await one.client.query('begin')
    await one.start(pipeline)
    const fired = fireSchedules(worker.tenant(tenant, 'schedule'), due ? [due] : [])
    await pause(400)
    const meanwhile = await runsOf(owner, pipeline)
    await one.client.query('commit')
    expect(await fired).toMatchObject({ fired: 1, refused: 0, wakes: [{ runId: expect.any(String) }] })
    expect([meanwhile.length, (await runsOf(owner, pipeline)).length]).toEqual([0, 2])
    expect(await codeOf(two.client.query(startOf, [newId('run'), pipeline]))).toBe('ok')
    expect(await runsOf(owner, pipeline)).toHaveLength(2)
  })

  it('of a tenant without a quota take no turn and no lock of their own', async () => {
    await owner.query(`update tenants set quotas = '{}' where tenant_id = $1`, [tenant])
    await one.client.query('begin')
    await one.start(await oneStep(owner, tenant))
    const { rows } = await one.client.query(
      `select count(*)::int as locks from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`,
    )
    await one.client.query('rollback')
    expect(rows).toEqual([{ locks: 0 }])
  })
})

const startOf = `select app.start_run($1, $2, 'manual', '{}')`

describe('what a quota refuses', () => {
  it('leaves no time waiting for a run that never began: the schedule goes on when there are runs again', async () => {
    const pipeline = await oneStep(owner, tenant)
    const at = Date.now() - 120_000
    const schedule = await plannedSchedule(owner, tenant, pipeline, { next: new Date(at), overlap: 'queue' })
    const due = await planned(owner, schedule, new Date())
    if (!due) throw new Error('nothing is due')
    const times = [0, 1, 2].map((n) => new Date(at + n * 1_000).toISOString())
    await leave(owner, tenant, 0)
    expect(await fire(one, [{ ...due, times }])).toMatchObject({ fired: 1, refused: 3, wakes: [] })
    await leave(owner, tenant, 5)
    const later = await planned(owner, schedule, new Date(), 600_000)
    expect((await fire(one, later ? [later] : [])).wakes).toHaveLength(1)
    expect(await runsOf(owner, pipeline)).toHaveLength(1)
  })

  it('pauses a backfill, which begins where it stopped when it is resumed', async () => {
    const pipeline = await oneStep(owner, tenant)
    await leave(owner, tenant, 1)
    const id = newId('backfill')
    const times = [0, 1, 2].map((day) => new Date(Date.UTC(2026, 0, 1 + day)).toISOString())
    await one.client.query(`select app.start_backfill($1, $2, 1, '{}', '{}', $3, 2, false)`, [
      id,
      pipeline,
      times,
    ])
    const standing = async () =>
      (await owner.query('select state, taken, running from backfills where id = $1', [id])).rows[0]
    expect(await standing()).toEqual({ state: 'paused', taken: 1, running: 1 })
    await leave(owner, tenant, 5)
    await one.client.query(`select app.move_backfill($1, '{paused}', 'running')`, [id])
    expect(await standing()).toEqual({ state: 'running', taken: 2, running: 2 })
    for (const { id: run } of await runsOf(owner, pipeline)) await endRun(one, run as RunId)
    expect(await standing()).toMatchObject({ taken: 3 })
  })
})
