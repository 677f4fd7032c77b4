import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '#src/db/database.ts'
import { newId, type RunId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'
import { ownServices, type OwnServices } from '#test/support/own-stack.ts'
import { json, pipeline, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let services: OwnServices
let here: World
let big: Tenant
let small: Tenant
let bigId: string | undefined

beforeAll(async () => {
  services = await ownServices()
  here = await world(
    (given) => ({ ...given, neverHere: true, database: slowFor(given.database) }),
    services.env,
  )
  ;[big, small] = await Promise.all([here.tenant(), here.tenant()])
  bigId = big.id
})
afterAll(async () => {
  await here.close()
  await services.stop()
})

/** Deliveries of the big tenant that are under way and do not get on, while it is shut. */
const gate = { shut: false, stuck: 0, opened: Promise.withResolvers<void>() }

const slowFor = (database: Database): Database => ({
  ...database,
  tenant: (tenantId, actor) => {
    const db = database.tenant(tenantId, actor)
    if (actor !== 'job' || tenantId !== bigId) return db
    return {
      ...db,
      async call(call, signal) {
        if (gate.shut) {
          gate.stuck++
          await gate.opened.promise
        }
        return db.call(call, signal)
      },
    }
  },
})

const queued = 10_000
const one = (name: string) => `steps:\n  - { id: one, sql: select 1 as n, into: ${name} }\n`

/** So many runs as if they had just been started, and their messages given to QStash. */
async function flood(pipelineId: string): Promise<void> {
  const ids: RunId[] = Array.from({ length: queued }, () => newId('run'))
  await services.owner.query(
    `with made as (
       insert into runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, unfinished)
       select v.tenant_id, r.id, v.pipeline_id, v.id, 'queued', 'manual', '{}', 'x', 1
       from pipeline_versions v, unnest($2::text[]) r(id) where v.pipeline_id = $1 returning tenant_id, id)
     insert into steps (tenant_id, run_id, key, kind, position, needs, run_when, state)
     select tenant_id, id, 'one', 'sql', 0, '{}', 'all_success', 'ready' from made`,
    [pipelineId, ids],
  )
  for (let at = 0; at < ids.length; at += 500) {
    const messages = ids
      .slice(at, at + 500)
      .map((runId): Message => ({ job: 'run', payload: { tenantId: big.id, runId } }))
    await here.services.send(big.id, messages)
  }
}

/** How long a run of the small tenant takes from being asked for to its end: the quickest of nine, which others disturb least. */
async function quickestOfNine(pipelineId: string): Promise<number> {
  const took: number[] = []
  for (let n = 0; n < 9; n++) {
    const begun = performance.now()
    const runId = await start(small, pipelineId)
    await until('the run to succeed', async () => {
      const { rowCount } = await services.owner.query(
        `select from runs where id = $1 and state = 'succeeded'`,
        [runId],
      )
      return rowCount === 1
    })
    took.push(performance.now() - begun)
  }
  return Math.min(...took)
}

const standing = async (state: string) => {
  const { rows } = await services.owner.query<{ n: number }>(
    'select count(*)::int as n from runs where tenant_id = $1 and state = $2',
    [big.id, state],
  )
  return rows[0]?.n ?? 0
}

describe('a tenant with ten thousand queued runs', () => {
  it('does not hold up another one, whose runs take less than twice as long as alone', async () => {
    const theirs = await pipeline(big, `concurrency: 5\n${one('theirs')}`)
    const mine = await pipeline(small, one('mine'))
    await quickestOfNine(mine)
    const alone = await quickestOfNine(mine)
    // All the places that QStash gives the big one are taken, and none of it gets on.
    gate.shut = true
    await flood(theirs)
    await until('its deliveries to be stuck', async () => gate.stuck >= 20)
    const beside = await quickestOfNine(mine)
    expect([await standing('queued'), gate.stuck]).toEqual([queued, 20])
    gate.shut = false
    gate.opened.resolve()
    // Below this it is the machine that is measured.
    expect(beside).toBeLessThan(2 * Math.max(alone, 50))
    await until('its own to go on', async () => (await standing('succeeded')) > 20, 30_000)
    await json(await big.fetch(`/v1/pipelines/${theirs}/pause`, { method: 'POST', body: {} }), 200)
  }, 120_000)
})
