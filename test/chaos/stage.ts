import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { buildWhenStale } from '#local/build.ts'
import { startStack, type Stack } from '#local/stack.ts'
import { undoList } from '#local/undo.ts'
import { connect, json, upload } from '#test/support/pipeline.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'
import { openOutside } from './outside.ts'
import { random } from './random.ts'
import { fileRows } from './rows.ts'
import { makeTrouble } from './strike.ts'
import type { Trouble } from './trouble.ts'
import { startWorkers } from './workers.ts'

/** The whole stack with two of the built Workers, some tenants, and what can go wrong with it. */
export type Stage = {
  tenants: readonly Tenant[]
  owner: pg.Pool
  warehouse: pg.Pool
  /** A server that pipelines call. */
  outside: string
  strike: (trouble: Trouble) => Promise<void>
  /** When the last trouble was over, that of messages apart, which never is. */
  struckMs: () => number
  /** Lets what waits for a minute have waited for it, and ticks. */
  tick(): Promise<void>
  stop(): Promise<void>
}

export async function openStage(options: { tenants: number; seed: number }): Promise<Stage> {
  await buildWhenStale()
  const undo = undoList()
  try {
    const dir = await mkdtemp(join(tmpdir(), 'weir-chaos-'))
    undo.add(() => rm(dir, { recursive: true, force: true }))
    // Killed is the server here, never the machine.
    const stack = await startStack({ dir, worker: 'none', durability: 'kill' })
    undo.add(stack.stop)
    const owner = poolOf(stack.ownerUrl)
    const warehouse = poolOf(stack.warehouseUrl)
    undo.add(() => Promise.all([owner.end(), warehouse.end()]))
    const port = Number(new URL(stack.url).port)
    const workers = await startWorkers({ env: stack.env, port, onLine: () => undefined })
    undo.add(workers.stop)
    const outside = await openOutside()
    undo.add(outside.close)
    const tenants: Tenant[] = []
    // One after the other: a dozen hashes at once would leave Redis no time to answer.
    while (tenants.length < options.tenants) tenants.push(await tenantOf(stack))
    const trouble = makeTrouble({ stack, workers, owner, from: random(options.seed) })
    undo.add(trouble.stop)
    return {
      tenants,
      owner,
      warehouse,
      outside: outside.url,
      strike: trouble.strike,
      struckMs: trouble.struckMs,
      tick: () => tick(stack, owner),
      stop: undo.run,
    }
  } catch (cause) {
    await undo.run().catch(() => undefined)
    throw cause
  }
}

function poolOf(connectionString: string): pg.Pool {
  const made = new pg.Pool({ connectionString, max: 4 })
  made.on('error', () => undefined)
  return made
}

async function tenantOf(stack: Stack): Promise<Tenant> {
  const tenant = await newTenant(stack.url, (request) => fetch(request))
  const files = await connect(tenant, 'files', 'files', stack.warehouse)
  await connect(tenant, 'postgres', 'warehouse', stack.warehouse)
  await connectNarrow(tenant, stack.warehouse)
  await upload(tenant, files, 'rows.csv', ['id', ...fileRows['rows.csv']].join('\n'))
  const lines = fileRows['rows.ndjson'].map((id) => JSON.stringify({ id }))
  await upload(tenant, files, 'rows.ndjson', lines.join('\n'))
  return tenant
}

/** The warehouse again, for one step at once. */
async function connectNarrow(tenant: Tenant, warehouse: Stack['warehouse']): Promise<void> {
  const { host, port, database, user, password } = warehouse
  const config = { host, port, database, user, ssl: 'disable' }
  const body = { name: 'narrow', kind: 'postgres', config, secret: { password }, concurrency: 1 }
  await json(await tenant.fetch('/v1/connections', { method: 'POST', body }), 201)
}

/**
 * What should have been there for half a second is taken for lost, and then with growing pauses as ever: what only waits its
 * turn would else be sent again and again, until nothing has its turn. A backoff, and a connection's rest, are over.
 */
const haste = [
  `update outbox set send_after = now()
   where send_after > now()
     and greatest(not_before, created_at) < now() - interval '500 ms' * power(2, greatest(least(attempts, 20) - 1, 0))`,
  `update connections set rests_until = now() where rests_until > now()`,
  `update steps set next_attempt_at = now() where state = 'ready' and next_attempt_at > now() + interval '1 s'`,
  `update outbox set not_before = now() where kind = 'run' and not_before > now() + interval '5 s'`,
]

async function tick(stack: Stack, owner: pg.Pool): Promise<void> {
  for (const statement of haste) await owner.query(statement).catch(() => undefined)
  await fetch(`${stack.env['QSTASH_URL']}/v2/publish/${stack.url}/jobs/tick`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${stack.env['QSTASH_TOKEN']}`, 'Upstash-Retries': '0' },
    body: '{}',
  }).catch(() => undefined)
}
