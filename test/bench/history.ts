import { statfs } from 'node:fs/promises'
import pg from 'pg'
import type { Stack } from '#local/stack.ts'
import { claimSigner } from '#src/db/claim.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, median, type Benchmark } from './measure.ts'
import { allSucceeded } from './shapes.ts'

const steps = 40
const few = 1_000
const many = 5_000_000
const batches = 10
const rounds = 5
const timed = 80
const warmUps = 50
const leaseMs = 30_000
const neededBytes = 12e9

/** What it takes to claim and complete a step when one tenant has five million of them behind it. */
export const history: Benchmark = {
  names: ['claim_at_5m'],
  targets: { claim_at_5m: { atMost: 1.2 } },
  isLong: true,
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const disk = await statfs(stack.dir)
      const freeBytes = disk.bavail * disk.bsize
      if (freeBytes < neededBytes)
        throw new Error(`${(freeBytes / 1e9).toFixed(0)} GB are free, and ${neededBytes / 1e9} are needed`)
      const { api, keys } = await caller(stack)
      const { tenant } = await api.get<{ tenant: { id: TenantId } }>('/v1/me')
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const template = await finishedRun(
        stack,
        owner,
        keys[0] ?? '',
        await savePipeline(api, idleSteps(steps)),
      )
      const single = await savePipeline(api, idleSteps(1))

      await fill(owner, template, 0, few / steps)
      const before = await moves(stack, tenant.id, single)
      const startedMs = Date.now()
      const wanted = many / steps
      for (let i = 0; i < batches; i++) {
        const from = Math.max(few / steps, (wanted / batches) * i)
        await fill(owner, template, from, (wanted / batches) * (i + 1))
      }
      await owner.query('vacuum analyze')
      const { rows } = await owner.query<{ steps: number; events: number; bytes: string }>(
        `select (select count(*)::int from steps) as steps, (select count(*)::int from run_events) as events,
           pg_size_pretty(pg_database_size(current_database())) as bytes`,
      )
      const [all] = rows
      say(
        `${all?.steps} steps and ${all?.events} events of one tenant, ${all?.bytes}, filled in ${Math.round((Date.now() - startedMs) / 1000)} s`,
      )
      const after = await moves(stack, tenant.id, single)
      await owner.end()
      say(
        `claim and complete: ${median(before).toFixed(2)} ms at ${few} steps, ${median(after).toFixed(2)} ms at ${many} (medians of ${rounds} × ${timed} on one connection)`,
      )
      return { claim_at_5m: measured(after, 'ms', before) }
    }),
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
async function moves(stack: Stack, tenantId: TenantId, pipelineId: string): Promise<number[]> {
  const client = new pg.Client({ connectionString: stack.env['DATABASE_URL'] })
  await client.connect()
  const claim = await claimSigner(stack.env['CLAIM_KEY'] ?? '', () => new Date())(tenantId, 'job')
  await client.query(`select set_config('app.claim', $1, false)`, [claim])
  const ms: number[] = []
  for (let i = 0; i < warmUps + rounds * timed; i++) {
    const run = newId('run')
    await client.query(`select app.start_run($1, $2, 'manual', '{}')`, [run, pipelineId])
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
    if (i >= warmUps) ms.push(performance.now() - before)
  }
  await client.end()
  return Array.from({ length: rounds }, (_, i) => median(ms.slice(i * timed, (i + 1) * timed)))
}
