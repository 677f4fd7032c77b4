import pg from 'pg'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import type { Database, TenantDb } from '#src/db/database.ts'
import { sqlStateOf } from '#src/db/failure.ts'
import { claimKey, holdKey, type Claim } from '#src/db/idempotency.ts'
import { insertMail } from '#src/db/mails.ts'
import { newId } from '#src/domain/id.ts'
import { json, pipeline } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

/** What becomes of a Worker at a transaction, counted from 1 since it was armed. */
type Fate = (transaction: number, go: () => Promise<unknown>) => Promise<unknown>
let fate: { decide: Fate; seen: number } | undefined
const arm = (decide: Fate) => void (fate = { decide, seen: 0 })

const gone = new Promise<never>(() => undefined)
const diesBefore =
  (at: number): Fate =>
  (n, go) =>
    n >= at ? gone : go()
const diesAfter =
  (at: number): Fate =>
  async (n, go) => {
    const result = n > at ? await gone : await go()
    return n === at ? gone : result
  }

/** A database whose transactions meet with what was armed when the request that they are of began. */
function mortal(database: Database): Database {
  return {
    ...database,
    tenant(...of) {
      const real = database.tenant(...of)
      const mine = fate
      fate = undefined
      if (!mine) return real
      const meet = <T>(go: () => Promise<T>) => mine.decide(++mine.seen, go) as Promise<T>
      return {
        ...real,
        run: (...queries) => meet(() => real.run(...queries)),
        statements: (...all) => meet(() => real.statements(...all)),
      } satisfies TenantDb
    },
  }
}

let here: World
let owner: pg.Client
let acme: Tenant
let globex: Tenant
let pipelineId: string
beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  ;[here] = await Promise.all([
    world((services) => ({ ...services, database: mortal(services.database) })),
    owner.connect(),
  ])
})
afterAll(() => Promise.all([here.close(), owner.end()]))
beforeEach(async () => {
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  pipelineId = await pipeline(acme, 'steps: [{ id: one, wait: { for: 1h } }]\n')
})

const send = (key: string, path = '/v1/runs', body: unknown = { pipelineId }, tenant = acme) =>
  tenant.fetch(path, { method: 'POST', body, headers: { 'Idempotency-Key': key } })
const newKey = () => crypto.randomUUID()
const isReplay = (answer: Response) => answer.headers.get('idempotency-replayed') === 'true'

const runsOf = async (tenant = acme) =>
  (
    await owner.query<{ id: string }>('select id from runs where tenant_id = $1 order by id', [tenant.id])
  ).rows.map(({ id }) => id)
const stateOf = async (key: string) =>
  (await owner.query<{ state: string }>('select state from idempotency_keys where key = $1', [key])).rows[0]
    ?.state
const endLease = (key: string) =>
  owner.query(`update idempotency_keys set locked_until = now() - interval '1 ms' where key = $1`, [key])

/** Sends a request whose Worker meets its fate, and waits until the key stands like this. */
async function sendTo(decide: Fate, key: string, state: string, ...of: [string?, unknown?]): Promise<void> {
  arm(decide)
  send(key, ...of).catch(() => undefined)
  await until(`the key is ${state}`, async () => (await stateOf(key)) === state)
}

type RunAnswer = { id: string; state: string; pipelineId: string }

describe('a Worker that dies', () => {
  it('before the effect leaves a key that one of those who come next takes over', async () => {
    const key = newKey()
    await sendTo(diesBefore(2), key, 'running')
    expect((await send(key)).status).toBe(409)
    await endLease(key)
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(key)))
    expect(answers.filter(({ status }) => status !== 202 && status !== 409)).toEqual([])
    expect(answers.filter((answer) => answer.status === 202 && !isReplay(answer))).toHaveLength(1)
    expect(await runsOf()).toHaveLength(1)
  })

  it('after the effect leaves a run that whoever repeats the request is answered with, and no second one', async () => {
    const key = newKey()
    await sendTo(diesAfter(2), key, 'effected')
    const early = await send(key)
    expect([early.status, early.headers.has('retry-after')]).toEqual([409, true])
    await endLease(key)
    const [first, second] = await Promise.all([send(key), send(key)])
    const [run] = await runsOf()
    expect(await runsOf()).toEqual([run])
    for (const answer of [first, second]) {
      expect([answer.status, isReplay(answer), answer.headers.get('location')]).toEqual([
        202,
        true,
        `/v1/runs/${run}`,
      ])
      expect(await answer.json()).toEqual({ id: run, state: expect.any(String), pipelineId })
    }
  })

  it('after its answer was stored leaves that answer', async () => {
    const key = newKey()
    await sendTo(diesAfter(3), key, 'done')
    const answer = await send(key)
    expect([answer.status, isReplay(answer)]).toEqual([202, true])
    expect(await runsOf()).toEqual([((await answer.json()) as RunAnswer).id])
  })

  it('after a run was started again leaves the answer to that, too', async () => {
    const { id: run } = await json<RunAnswer>(await send(newKey()), 202)
    await json(await acme.fetch(`/v1/runs/${run}/cancel`, { method: 'POST' }), 202)
    await until('the run is over', async () => {
      const { rows } = await owner.query('select finished_at from runs where id = $1', [run])
      return rows[0]?.finished_at !== null
    })
    const key = newKey()
    const of = [`/v1/runs/${run}/rerun`, { from: 'all' }] as const
    await sendTo(diesAfter(2), key, 'effected', ...of)
    await endLease(key)
    const answer = await json<{ id: string; rerunOf: string }>(await send(key, ...of), 202)
    expect(answer).toEqual({ id: (await runsOf())[1], state: expect.any(String), rerunOf: run })
  })

  it('after an effect whose answer cannot be told again leaves words that say so, and where to look', async () => {
    const key = newKey()
    const of = ['/v1/api-keys', { name: 'ci', scopes: ['runs:read'] }] as const
    const keys = async () =>
      (await owner.query('select from api_keys where tenant_id = $1 and name = $2', [acme.id, 'ci'])).rowCount
    await sendTo(diesAfter(2), key, 'effected', ...of)
    await endLease(key)
    const again = await send(key, ...of)
    const { code, detail } = (await again.json()) as { code: string; detail: string }
    expect([again.status, code, again.headers.has('retry-after')]).toEqual([409, 'conflict', false])
    expect(detail).toContain('took effect, but its answer was lost')
    expect(detail).toContain('Look in GET /v1/api-keys, or in the audit log')
    expect((await send(key, '/v1/api-keys', { name: 'other', scopes: ['runs:read'] })).status).toBe(422)
    expect(await keys()).toBe(1)
    const paused = newKey()
    await sendTo(diesAfter(2), paused, 'effected', `/v1/pipelines/${pipelineId}/pause`, { reason: 'x' })
    await endLease(paused)
    const said = (await (
      await send(paused, `/v1/pipelines/${pipelineId}/pause`, { reason: 'x' })
    ).json()) as {
      detail: string
    }
    expect(said.detail).toContain(`GET /v1/pipelines/${pipelineId}, or`)
  })

  it('in the middle of what only reads leaves a key that is taken over', async () => {
    const key = newKey()
    const check = `/v1/alerts/${newId('alert')}/resolve`
    await sendTo(diesAfter(2), key, 'running', check, {})
    await endLease(key)
    expect((await send(key, check, {})).status).toBe(404)
  })

  it('when a quota has refused the run leaves a key that is judged anew', async () => {
    const quotas = (allowed: object) =>
      owner.query('update tenants set quotas = $2 where tenant_id = $1', [acme.id, JSON.stringify(allowed)])
    await quotas({ runs: 0 })
    const key = newKey()
    arm(diesAfter(2))
    send(key).catch(() => undefined)
    await until('the start was refused', async () => {
      const { rows } = await owner.query('select app.used($1) as used', [acme.id])
      return rows[0]?.used.refusedRuns === 1
    })
    await quotas({})
    await endLease(key)
    const answer = await send(key)
    expect([answer.status, isReplay(answer)]).toEqual([202, false])
    expect(await runsOf()).toHaveLength(1)
  })

  it('takes nothing from another tenant with the same key', async () => {
    const key = newKey()
    await sendTo(diesAfter(2), key, 'effected')
    const theirs = await pipeline(globex, 'steps: [{ id: one, wait: { for: 1h } }]\n')
    const answer = await send(key, '/v1/runs', { pipelineId: theirs }, globex)
    expect([answer.status, isReplay(answer)]).toEqual([202, false])
    expect([(await runsOf()).length, (await runsOf(globex)).length]).toEqual([1, 1])
  })
})

describe('a Worker that lives, but', () => {
  /** Holds the request before its second transaction, until it is let go. */
  function slow(key: string) {
    let letGo = () => {}
    const held = new Promise<void>((resolve) => (letGo = resolve))
    arm(async (n, go) => {
      if (n === 2) await held
      return go()
    })
    const answer = send(key)
    return { answer, letGo: () => letGo() }
  }

  it('is so slow that another one took over changes nothing, and says so', async () => {
    const key = newKey()
    const first = slow(key)
    await until('the key is claimed', async () => (await stateOf(key)) === 'running')
    await endLease(key)
    const second = await json<RunAnswer>(await send(key), 202)
    first.letGo()
    const late = await first.answer
    expect(late.status).toBe(409)
    expect(((await late.json()) as { detail: string }).detail).toContain('this one changed nothing')
    expect(await runsOf()).toEqual([second.id])
    const third = await send(key)
    expect([isReplay(third), ((await third.json()) as RunAnswer).id]).toEqual([true, second.id])
  })

  it('comes to its effect at the very moment of a takeover: one of the two has it', async () => {
    for (let round = 1; round <= 12; round++) {
      const key = newKey()
      const first = slow(key)
      await until('the key is claimed', async () => (await stateOf(key)) === 'running')
      await endLease(key)
      const second = send(key)
      first.letGo()
      const statuses = (await Promise.all([first.answer, second])).map(({ status }) => status)
      expect(statuses).toContain(202)
      expect(await runsOf()).toHaveLength(round)
    }
  })

  it('loses the answer of the database does not start a second run when it is asked again at once', async () => {
    const key = newKey()
    arm(async (n, go) => {
      const result = await go()
      if (n === 2) throw new TypeError('fetch failed')
      return result
    })
    expect((await send(key)).status).toBe(503)
    expect(await stateOf(key)).toBe('lost')
    const again = await send(key)
    expect([again.status, isReplay(again)]).toEqual([202, true])
    expect(await runsOf()).toEqual([((await again.json()) as RunAnswer).id])
  })
})

describe('a held key', () => {
  it('marks what is changed without a claim, and takes it back when it is held no more', async () => {
    const { database } = here.services
    const tdb = database.tenant(acme.id, 'x')
    const claim: Claim = {
      actor: 'x',
      key: newKey(),
      fingerprint: 'f',
      lockedUntil: new Date(Date.now() + 60_000),
    }
    expect((await claimKey(tdb, claim)).kind).toBe('mine')
    const held = holdKey(database, tdb, claim)
    const mail = () => ({ id: newId('mail'), sealed: 'x' })
    const [{ rows }] = await held.database.open(database.sql.execute(sql`select 7 as n`))
    expect([rows, await stateOf(claim.key)]).toEqual([[{ n: 7 }], 'running'])
    await insertMail(held.database, mail())
    expect(await stateOf(claim.key)).toBe('effected')
    await owner.query(`update idempotency_keys set locked_until = now() + interval '1 h' where key = $1`, [
      claim.key,
    ])
    const lost = mail()
    const refused = await insertMail(held.database, lost).catch(sqlStateOf)
    const there = async () => (await owner.query('select from mails where id = $1', [lost.id])).rowCount
    expect([refused, await there()]).toEqual(['WE409', 0])
    held.letGo()
    await insertMail(held.database, lost)
    expect(await there()).toBe(1)
    await owner.query('delete from mails where sealed = $1', ['x'])
  })
})
