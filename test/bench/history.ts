import { statfs } from 'node:fs/promises'
import pg from 'pg'
import type { Stack } from '#local/stack.ts'
import { claimSigner } from '#src/db/claim.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, median, type Benchmark, type Measure } from './measure.ts'
import { allSucceeded } from './shapes.ts'

const steps = 40
const sizes = [1_000, 100_000, 1_000_000, 5_000_000] as const
const batchRuns = 12_500
const rounds = 5
const timed = 80
const warmUps = 50
/** What the bulk load left to be written would be written while it is measured. */
const settle = ['vacuum analyze', 'checkpoint']
const leaseMs = 30_000
const neededBytes = 12e9

/**
 * What it takes to claim and complete a step when one tenant has five million of them behind it, beside a second database
 * that has a thousand: in turns, so that whatever else the machine does falls on both.
 */
export const history: Benchmark = {
  names: ['claim_at_5m'],
  targets: { claim_at_5m: { atMost: 1.2 } },
  isLong: true,
  run: (say) =>
    withBenchStack({}, (few) =>
      withBenchStack({}, async (many) => {
        const disk = await statfs(many.dir)
        const freeBytes = disk.bavail * disk.bsize
        if (freeBytes < neededBytes)
          throw new Error(`${(freeBytes / 1e9).toFixed(0)} GB are free, and ${neededBytes / 1e9} are needed`)
        const [small, large] = [await prepare(few), await prepare(many)]
        await grow(small, sizes[0])
        const measures: Measure[] = []
        for (const size of sizes) {
          const startedMs = Date.now()
          await grow(large, size)
          const seconds = Math.round((Date.now() - startedMs) / 1_000)
          const ms = await inTurns(small, large)
          const measure = measured(ms.large, 'ms', ms.small)
          measures.push(measure)
          say(
            `${await amountOf(large.owner)}, filled in ${seconds} s: claim and complete in ${measure.median} ms, with ${sizes[0]} steps in ${measure.floor} ms, ${measure.ratio} ×`,
          )
        }
        await small.owner.end()
        await large.owner.end()
        say(`medians of ${rounds} × ${timed}, each database on one connection, in turns`)
        return Object.fromEntries(measures.slice(-1).map((measure) => ['claim_at_5m', measure]))
      }),
    ),
}

type Filled = {
  stack: Stack
  owner: pg.Client
  tenantId: TenantId
  /** The finished run that is copied. */
  template: string
  /** The pipeline of one step whose runs are measured. */
  single: string
  runs: number
}

async function prepare(stack: Stack): Promise<Filled> {
  const { api, keys } = await caller(stack)
  const { tenant } = await api.get<{ tenant: { id: TenantId } }>('/v1/me')
  const owner = new pg.Client({ connectionString: stack.ownerUrl })
  await owner.connect()
  const chain = await savePipeline(api, idleSteps(steps))
  const template = await finishedRun(stack, owner, keys[0] ?? '', chain)
  return {
    stack,
    owner,
    tenantId: tenant.id,
    template,
    single: await savePipeline(api, idleSteps(1)),
    runs: 0,
  }
}

async function grow(filled: Filled, size: number): Promise<void> {
  while (filled.runs < size / steps) {
    const to = Math.min(filled.runs + batchRuns, size / steps)
    await fill(filled.owner, filled.template, filled.runs, to)
    filled.runs = to
  }
  for (const statement of settle) await filled.owner.query(statement)
}

async function amountOf(owner: pg.Client): Promise<string> {
  const { rows } = await owner.query<{ steps: number; events: number; bytes: string }>(
    `select (select count(*)::int from steps) as steps, (select count(*)::int from run_events) as events,
       pg_size_pretty(pg_database_size(current_database())) as bytes`,
  )
  const [all] = rows
  return `${all?.steps} steps and ${all?.events} events of one tenant (${all?.bytes})`
}

async function finishedRun(stack: Stack, owner: pg.Client, key: string, pipelineId: string): Promise<string> {
  const client = openClient(1)
  const answer = await client.ask('POST', `${stack.url}/v1/runs`, key, { pipelineId })
  client.close()
  await allSucceeded(owner, pipelineId, 1)
  return (JSON.parse(answer) as { id: string }).id
}

/** Copies a finished run with its steps, and of its events the one that each step ended with. */
async function fill(owner: pg.Client, template: string, from: number, to: number): Promise<void> {
  // Nothing fires and nothing is checked for rows that are copies of right ones.
  await owner.query('begin')
  await owner.query('set local session_replication_role = replica')
  const copies = [
    { table: 'runs', id: 'id', only: 'true' },
    { table: 'steps', id: 'run_id', only: 'true' },
    { table: 'run_events', id: 'run_id', only: `type = 'step.succeeded'` },
  ]
  for (const { table, id, only } of copies) {
    const { rows } = await owner.query<{ name: string }>(
      `select quote_ident(attname) as name from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
      [table],
    )
    const names = rows.map(({ name }) => name)
    const made = names.map((name) =>
      name === id ? `left(t.${id}, 4) || '0' || lpad(n::text, 20, '0')` : `t.${name}`,
    )
    await owner.query(
      `insert into ${table} (${names.join(', ')}) select ${made.join(', ')}
       from generate_series(${from}, ${to} - 1) n, ${table} t where t.${id} = $1 and ${only}`,
      [template],
    )
  }
  await owner.query('commit')
}

/** Milliseconds for claim and completion of a run of one step, as the Worker's role: the median of each round. */
async function inTurns(small: Filled, large: Filled): Promise<{ small: number[]; large: number[] }> {
  const movers = { small: await openMover(small), large: await openMover(large) }
  const ms: { small: number[]; large: number[] } = { small: [], large: [] }
  for (let i = 0; i < warmUps + rounds * timed; i++) {
    const pair = { small: await movers.small.move(), large: await movers.large.move() }
    if (i < warmUps) continue
    ms.small.push(pair.small)
    ms.large.push(pair.large)
  }
  await movers.small.close()
  await movers.large.close()
  const ofRounds = (all: readonly number[]) =>
    Array.from({ length: rounds }, (_, i) => median(all.slice(i * timed, (i + 1) * timed)))
  return { small: ofRounds(ms.small), large: ofRounds(ms.large) }
}

async function openMover({ stack, tenantId, single }: Filled) {
  const client = new pg.Client({ connectionString: stack.env['DATABASE_URL'] })
  await client.connect()
  const claim = await claimSigner(stack.env['CLAIM_KEY'] ?? '', () => new Date())(tenantId, 'job')
  await client.query(`select set_config('app.claim', $1, false)`, [claim])
  const move = async (): Promise<number> => {
    const run = newId('run')
    await client.query(`select app.start_run($1, $2, 'manual', '{}')`, [run, single])
    const before = performance.now()
    const { rows } = await client.query<{ value: { outcome: string; step?: { fence: number } } }>(
      'select app.claim_step($1, null, $2, false, $3) as value',
      [run, run, leaseMs],
    )
    const claimed = rows[0]?.value
    if (!claimed?.step) throw new Error(`the claim was ${claimed?.outcome}`)
    await client.query(`select app.complete_step($1, 's0', 0, $2, '{"state": "succeeded"}', $3, $4)`, [
      run,
      claimed.step.fence,
      run,
      leaseMs,
    ])
    return performance.now() - before
  }
  return { move, close: () => client.end() }
}
