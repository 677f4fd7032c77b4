import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { buildWhenStale } from '#local/build.ts'
import { startPostgres } from '#local/postgres.ts'
import { startStack, type Stack } from '#local/stack.ts'
import { connect, upload } from '#test/support/pipeline.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'
import { random } from './random.ts'
import type { ChaosFault } from './plan.ts'
import { fileRows } from './rows.ts'

/** The whole stack with the built Worker, some tenants, and what can go wrong with it. */
export type Stage = {
  tenants: readonly Tenant[]
  owner: pg.Pool
  warehouse: pg.Pool
  strike(kind: ChaosFault['kind']): Promise<void>
  /** Lets what waits for a minute have waited for it, and ticks. */
  tick(): Promise<void>
  /** Transactions that somebody left open. */
  openTransactions(): Promise<number>
  stop(): Promise<void>
}

export async function openStage(options: { tenants: number; seed: number }): Promise<Stage> {
  await buildWhenStale()
  const dir = await mkdtemp(join(tmpdir(), 'weir-chaos-'))
  const stack = await startStack({ dir, worker: 'workerd', v8Flags: ['--max-old-space-size=128'] })
  let { postgres } = stack.parts
  const owner = poolOf(stack.ownerUrl)
  const warehouse = poolOf(stack.warehouseUrl)
  const tenants: Tenant[] = []
  for (let i = 0; i < options.tenants; i++) tenants.push(await tenantOf(stack))
  const from = random(options.seed)
  armMessages(stack, from.below(1_000))
  let striking: Promise<unknown> = Promise.resolve()
  const one = <T>(work: () => Promise<T>): Promise<T> => {
    const next = striking.then(work)
    striking = next.catch(() => undefined)
    return next
  }
  const { worker } = stack
  if (!worker) throw new Error('there is no Worker')
  const expireLeases = () =>
    owner
      .query(`update steps set lease_until = now() - interval '1 s' where state = 'running'`)
      .catch(() => undefined)
  const faults: Record<ChaosFault['kind'], () => Promise<void>> = {
    async kill() {
      await worker.kill()
      await worker.restart()
      await expireLeases()
    },
    async cut() {
      await owner
        .query(
          `select pg_terminate_backend(pid) from pg_stat_activity where usename in ('weir_app', 'warehouse')`,
        )
        .catch(() => undefined)
    },
    async freeze() {
      process.kill(worker.pid(), 'SIGSTOP')
      await pause(250)
      await expireLeases()
      process.kill(worker.pid(), 'SIGCONT')
    },
    async crash() {
      await worker.kill()
      await postgres.kill()
      postgres = await startPostgres({ dir: join(dir, 'postgres'), port: postgres.port })
      await worker.restart()
      await expireLeases()
    },
  }
  return {
    tenants,
    owner,
    warehouse,
    strike: (kind) => one(faults[kind]),
    async tick() {
      await owner
        .query(`update outbox set send_after = send_after - interval '61 s' where send_after > now()`)
        .catch(() => undefined)
      await fetch(`${stack.env['QSTASH_URL']}/v2/publish/${stack.url}/jobs/tick`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${stack.env['QSTASH_TOKEN']}`, 'Upstash-Retries': '0' },
        body: '{}',
      }).catch(() => undefined)
    },
    async openTransactions() {
      const { rows } = await owner.query<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%'`,
      )
      return rows[0]?.n ?? 0
    },
    async stop() {
      await striking
      await Promise.allSettled([owner.end(), warehouse.end()])
      await stack.stop()
      await postgres.stop().catch(() => undefined)
      await rm(dir, { recursive: true, force: true })
    },
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
  await upload(tenant, files, 'rows.csv', ['id', ...fileRows].join('\n'))
  return tenant
}

/** Messages come twice, late, in another order, or not at all, for as long as the stage stands. */
function armMessages(stack: Stack, offset: number): void {
  const { qstash } = stack.parts
  if (!qstash) throw new Error('QStash is not a stand-in here')
  const { control } = qstash
  control.inject({ kind: 'duplicate', afterMs: 20 + (offset % 200) }, { every: 3 })
  control.inject({ kind: 'reorder', ms: 150 })
  control.inject({ kind: 'dropAttempt', retryAfterMs: 150 }, { every: 7 })
  control.inject({ kind: 'losePublish' }, { every: 11 })
  control.inject({ kind: 'dropAck', retryAfterMs: 100 }, { every: 13 })
}
