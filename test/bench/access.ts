import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { buildProgram } from '#local/build.ts'
import { startWorker } from '#local/worker.ts'
import { claimSigner } from '#src/db/claim.ts'
import { accessOf } from '#src/domain/access.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { actorName, type Actor } from '#src/domain/role.ts'
import type { Stack } from '#local/stack.ts'
import { caller, withBenchStack } from './bench-stack.ts'
import { inParallel, openClient } from './client.ts'
import { measured, median, type Benchmark } from './measure.ts'
import { cpuOf } from './process-cpu.ts'

const rounds = 5
const requests = 900
const inFlight = 16

/** What credential, limits, the tenant's record and a permission add to a handler that does nothing. */
export const authOverhead: Benchmark = {
  names: ['auth_overhead', 'auth_redis_calls'],
  targets: { auth_overhead: { atMost: 0.4 }, auth_redis_calls: { atMost: 1 } },
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const { keys } = await caller(stack, rounds + 1)
      const outDir = await mkdtemp(join(tmpdir(), 'weir-auth-'))
      const { file } = await buildProgram({ entry: 'test/bench/auth-worker.ts', platform: 'workerd', outDir })
      const worker = await startWorker({ env: stack.env, script: file })
      try {
        const client = openClient(inFlight)
        const load = (path: string, key: string) =>
          inParallel(requests, inFlight, () => client.ask('GET', `${worker.url}${path}`, key))
        const callsOf = async (): Promise<number> =>
          ((await (await fetch(`${worker.url}/v1/health`)).json()) as { calls: number }).calls
        const [guarded, bare, calls]: [number[], number[], number[]] = [[], [], []]
        await load('/v1/guarded', keys[0] ?? '')
        await load('/v1/health', keys[0] ?? '')
        for (const key of keys.slice(1)) {
          // The first request of a key looks it up; what is measured are those that follow.
          await client.ask('GET', `${worker.url}/v1/guarded`, key)
          const before = await callsOf()
          guarded.push((await cpuOf(worker.pid(), () => load('/v1/guarded', key))) / requests)
          calls.push(((await callsOf()) - before) / requests)
          bare.push((await cpuOf(worker.pid(), () => load('/v1/health', key))) / requests)
        }
        client.close()
        say(`CPU a request: ${guarded.map(inMs).join(', ')} ms against ${bare.map(inMs).join(', ')} ms`)
        const added = guarded.map((us, i) => (us - (bare[i] ?? 0)) / 1000)
        return {
          auth_overhead: measured(added, 'ms CPU'),
          auth_redis_calls: measured(
            calls.map((n) => Math.round(n * 100) / 100),
            'calls',
          ),
        }
      } finally {
        await worker.stop()
        await rm(outDir, { recursive: true, force: true })
      }
    }),
}

const inMs = (us: number) => (us / 1000).toFixed(2)

const person = (role: 'developer' | 'guest'): Actor => ({
  kind: 'user',
  userId: newId('user'),
  role,
  sessionId: newId('session'),
})

/** Milliseconds of one transaction under the actor's claim: the median of many. */
async function timed(client: pg.Client, claim: string, text: string, values: unknown[], times: number) {
  const ms: number[] = []
  for (let i = -20; i < times; i++) {
    const before = performance.now()
    await client.query('begin')
    await client.query(`select set_config('app.claim', $1, true)`, [claim])
    await client.query({ name: text.slice(0, 60), text, values })
    await client.query('commit')
    if (i >= 0) ms.push(performance.now() - before)
  }
  return median(ms)
}

async function openTenant(
  stack: Stack,
  pipelines: number,
): Promise<{ owner: pg.Client; app: pg.Client; tenantId: TenantId }> {
  const owner = new pg.Client({ connectionString: stack.ownerUrl })
  const app = new pg.Client({ connectionString: stack.env['DATABASE_URL'] })
  await owner.connect()
  await app.connect()
  const tenantId = newId('tenant')
  await owner.query(`insert into tenants (tenant_id, name) values ($1, 'bench')`, [tenantId])
  await owner.query(
    `insert into pipelines (tenant_id, id, name, current_version)
     select $1, 'pip_' || lpad(n::text, 26, '0'), 'p-' || n, 1 from generate_series(1, $2::int) n`,
    [tenantId, pipelines],
  )
  return { owner, app, tenantId }
}

const signer = (stack: Stack) => claimSigner(stack.env['CLAIM_KEY'] ?? '', () => new Date())

/** A page of a list behind the wall, against the same query as a role that no policy looks at. */
export const rlsClaim: Benchmark = {
  names: ['rls_claim'],
  targets: { rls_claim: { atMost: 1.1 } },
  run: () =>
    withBenchStack({ worker: 'none' }, async (stack) => {
      const { owner, app, tenantId } = await openTenant(stack, 10_000)
      await owner.query('analyze pipelines')
      const actor = person('developer')
      const claim = await signer(stack)(tenantId, actorName(actor), accessOf(actor))
      const page =
        'select * from pipelines where tenant_id = $1 and deleted_at is null order by id desc limit 1000'
      const [walled, open]: [number[], number[]] = [[], []]
      for (let i = 0; i < rounds; i++) {
        walled.push(await timed(app, claim, page, [tenantId], 200))
        open.push(await timed(owner, claim, page, [tenantId], 200))
      }
      await owner.end()
      await app.end()
      return { rls_claim: measured(walled, 'ms', open) }
    }),
}

/** Asking whether a grant allows one pipeline, with 10 grants in the tenant and with 100,000 of the same user. */
export const grantCheck: Benchmark = {
  names: ['grant_check'],
  targets: { grant_check: { atMost: 1.5 } },
  run: (say) =>
    withBenchStack({ worker: 'none' }, async (stack) => {
      const { owner, app, tenantId } = await openTenant(stack, 100_000)
      const actor = person('guest')
      const userId = actorName(actor)
      await owner.query(
        `insert into users (id, email, password_hash) values ($1, 'guest@example.com', 'x')`,
        [userId],
      )
      await owner.query(`insert into memberships (tenant_id, user_id, role) values ($1, $2, 'guest')`, [
        tenantId,
        userId,
      ])
      const claim = await signer(stack)(tenantId, userId, accessOf(actor))
      const give = (from: number, to: number) =>
        owner.query(
          `insert into grants (tenant_id, id, user_id, pipeline_id, level, created_by)
           select $1, 'gra_' || n, $2, 'pip_' || lpad(n::text, 26, '0'), 'read', 'x' from generate_series($3::int, $4::int) n`,
          [tenantId, userId, from, to],
        )
      const one = 'select id from pipelines where tenant_id = $1 and id = $2'
      const values = [tenantId, `pip_${'7'.padStart(26, '0')}`]
      const ask = async () => {
        const all: number[] = []
        for (let i = 0; i < rounds; i++) all.push(await timed(app, claim, one, values, 200))
        return all
      }
      await give(1, 10)
      await owner.query('analyze grants, pipelines')
      const few = await ask()
      await give(11, 100_000)
      await owner.query('analyze grants')
      const many = await ask()
      say(
        `a check takes ${median(few).toFixed(3)} ms with 10 grants, ${median(many).toFixed(3)} ms with 100,000`,
      )
      await owner.end()
      await app.end()
      return { grant_check: measured(many, 'ms', few) }
    }),
}
