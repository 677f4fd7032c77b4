import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildProgram } from '#local/build.ts'
import type { Stack } from '#local/stack.ts'
import { startWorker, type WorkerHost } from '#local/worker.ts'
import { count, countScript, countScriptSha } from '#src/cache/limit.ts'
import { connectRedis } from '#src/cache/redis.ts'
import { connectDatabase } from '#src/db/database.ts'
import { listRuns } from '#src/db/runs.ts'
import { defaultLimits } from '#src/domain/limit.ts'
import type { TenantId } from '#src/domain/id.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { inParallel, openClient } from './client.ts'
import { measured, type Benchmark } from './measure.ts'
import { cpuOf } from './process-cpu.ts'

const rounds = 5
/** Within the thousand a minute that one key may do, whose answers a round takes. */
const requests = 900
const inFlight = 16

/** CPU of the Worker's process for one GET /v1/runs, against a handler that makes the same two calls and nothing else. */
export const request: Benchmark = {
  names: ['request_vs_floor'],
  targets: { request_vs_floor: { atMost: 1.5 } },
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const { api, keys } = await caller(stack, rounds + 1)
      const [key = ''] = keys
      const pipelineId = await savePipeline(api, idleSteps(1))
      for (let i = 0; i < 20; i++) await api.post('/v1/runs', { pipelineId })
      const floorWorker = await startFloor(stack, key)
      const { worker } = stack
      if (!worker) throw new Error('the bench needs the Worker')
      try {
        const [ours, floors]: [number[], number[]] = [[], []]
        await load(`${stack.url}/v1/runs`, key, 400)
        await load(floorWorker.url, key, 400)
        for (const own of keys.slice(1)) {
          ours.push((await cpuOf(worker.pid(), () => load(`${stack.url}/v1/runs`, own, requests))) / requests)
          floors.push((await cpuOf(floorWorker.pid(), () => load(floorWorker.url, own, requests))) / requests)
        }
        say(
          `CPU a request: ${ours.map((us) => us.toFixed(0)).join(', ')} µs against ${floors.map((us) => us.toFixed(0)).join(', ')} µs`,
        )
        return { request_vs_floor: measured(ours, 'µs CPU', floors) }
      } finally {
        await floorWorker.stop()
      }
    }),
}

/** The calls that the product makes for this request, as they go over the wire. */
async function startFloor(stack: Stack, key: string): Promise<WorkerHost> {
  const me = await fetch(`${stack.url}/v1/me`, { headers: { Authorization: `Bearer ${key}` } })
  const { tenant } = (await me.json()) as { tenant: { id: TenantId } }
  const { env } = stack
  const redis = connectRedis({
    url: env['UPSTASH_REDIS_REST_URL'] ?? '',
    token: env['UPSTASH_REDIS_REST_TOKEN'] ?? '',
  })
  const database = connectDatabase({
    url: env['DATABASE_URL'] ?? '',
    gateway: env['NEON_GATEWAY'],
    claimKey: env['CLAIM_KEY'] ?? '',
    now: () => new Date(),
  })
  const sent = await recorded(async () => {
    const limit = { ...defaultLimits.apiKey, limit: 1e9 }
    await count(redis, [{ policy: limit, owner: `${tenant.id}:floor` }], new Date(), {
      apiKeyKey: 'public:api-key:floor',
    })
    await listRuns(database.tenant(tenant.id, 'floor'), {}, 50)
  })
  const eval_ = sent.find(
    (body) => Array.isArray(body) && String(body[0]).toLowerCase() === 'evalsha',
  ) as string[]
  const batch = sent.find((body) => !Array.isArray(body)) as {
    queries: { query: string; params: unknown[] }[]
  }
  const keyCount = Number(eval_[2])
  const floor = {
    sha: countScriptSha,
    script: countScript,
    keys: eval_.slice(3, 3 + keyCount),
    args: eval_.slice(3 + keyCount),
    queries: batch.queries,
  }
  const dir = await mkdtemp(join(tmpdir(), 'weir-floor-'))
  const { file } = await buildProgram({
    entry: 'test/bench/floor-worker.ts',
    platform: 'workerd',
    outDir: dir,
  })
  const worker = await startWorker({ env: { ...env, FLOOR: JSON.stringify(floor) }, script: file })
  await rm(dir, { recursive: true, force: true })
  return worker
}

/** The JSON bodies that `work` sends. */
async function recorded(work: () => Promise<void>): Promise<unknown[]> {
  const real = globalThis.fetch
  const bodies: unknown[] = []
  globalThis.fetch = (input, init) => {
    if (typeof init?.body === 'string') bodies.push(JSON.parse(init.body))
    return real(input, init)
  }
  try {
    await work()
  } finally {
    globalThis.fetch = real
  }
  return bodies
}

async function load(url: string, key: string, total: number): Promise<void> {
  const client = openClient(inFlight)
  await inParallel(total, inFlight, () => client.ask('GET', url, key))
  client.close()
}
