import * as fc from 'fast-check'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId, type RunId, type TenantId } from '#src/domain/id.ts'
import { chance, Crowd, type Fate } from '#test/support/crowd.ts'
import { engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { leftovers, nothing } from '#test/support/ledger.ts'
import { pool } from '#test/support/own-stack.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'

let database: OwnDatabase
let owner: pg.Pool
let tenantId: TenantId
let calls: EngineCalls

beforeAll(async () => {
  database = await ownDatabase()
  owner = pool(database.ownerUrl)
})
afterAll(async () => {
  await owner.end()
  await database.leave()
})

/** Of these, and of how many at once: what is at work at this moment, in one look. */
const looks = {
  connection: `select max(n)::int as most from (
    select count(*) as n from steps where tenant_id = $1 and connection = 'narrow' and state = 'running') c`,
  pipeline: `select max(n)::int as most from (
    select count(*) as n from runs where tenant_id = $1 and finished_at is null and state <> 'queued' group by pipeline_id) p`,
  tenant: `select count(*)::int as most from runs where tenant_id = $1 and state in ('running', 'cancelling')`,
}

const plan = fc.record({
  places: fc.integer({ min: 1, max: 3 }),
  runs: fc.integer({ min: 4, max: 14 }),
  width: fc.integer({ min: 1, max: 4 }),
  fates: fc.constantFrom<Fate[]>(
    ['succeed'],
    ['succeed', 'fail'],
    ['succeed', 'succeed', 'die'],
    ['succeed', 'retry', 'die', 'fail'],
  ),
  seed: fc.integer(),
})
type Plan = typeof plan extends fc.Arbitrary<infer P> ? P : never

/** A fork whose every branch works with the one connection, then a step of another connection, and back. */
const graph = (width: number) => [
  ...Array.from({ length: width }, (_, i) => ({
    key: `s${i}`,
    needs: [],
    when: 'all_success' as const,
    connection: 'narrow',
  })),
  { key: 'then', needs: ['s0'], when: 'all_done' as const, connection: 'other' },
  { key: 'last', needs: ['then'], when: 'all_done' as const, connection: 'narrow' },
]

describe('places', () => {
  it.each([
    { of: ['connection'] },
    { of: ['pipeline'] },
    { of: ['tenant'] },
    { of: ['connection', 'pipeline', 'tenant'] },
  ] as { of: (keyof typeof looks)[] }[])(
    'are never taken by more than there are, and none is lost when Workers die: $of',
    async ({ of }) => {
      let deadlocks = 0
      let most = 0
      const property = async ({ places, runs, width, fates, seed }: Plan) => {
        tenantId = await newBareTenant(database.owner)
        calls = await engineCalls(database.url, tenantId)
        await owner.query('update tenants set concurrency = $2 where tenant_id = $1', [
          tenantId,
          of.includes('tenant') ? places : null,
        ])
        await owner.query(
          `insert into connections (tenant_id, id, name, kind, config, concurrency)
           values ($1, $2, 'narrow', 'files', '{}', $4), ($1, $3, 'other', 'files', '{}', $4)`,
          [tenantId, newId('connection'), newId('connection'), of.includes('connection') ? places : null],
        )
        const concurrency = of.includes('pipeline') ? places : null
        const pipelines = [
          await plannedPipeline(database.owner, tenantId, graph(width), { concurrency }),
          await plannedPipeline(database.owner, tenantId, graph(width), { concurrency }),
        ] as const
        const started: RunId[] = []
        for (let i = 0; i < runs; i++) started.push(await calls.start(i % 2 ? pipelines[1] : pipelines[0]))
        const crowd = await Crowd.gather(owner, database.url, tenantId, 6)
        try {
          await crowd.finish(fates, chance(seed), async () => {
            for (const each of of) {
              const { rows } = await owner.query<{ most: number | null }>(looks[each], [tenantId])
              const now = rows[0]?.most ?? 0
              if (now > places) throw new Error(`${now} of a ${each} at once, and there are ${places} places`)
              most = Math.max(most, now)
            }
          })
        } finally {
          deadlocks += crowd.deadlocks
          await crowd.leave()
          await calls.end()
        }
        for (const runId of started) expect(await leftovers(owner, runId)).toEqual(nothing)
      }
      await fc.assert(fc.asyncProperty(plan, property), { numRuns: 12, endOnFailure: true })
      // It is no proof that there never were too many if there never were several.
      expect(most).toBeGreaterThan(1)
      expect(deadlocks).toBe(0)
    },
    120_000,
  )
})
