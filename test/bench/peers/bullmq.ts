import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { FlowProducer, Queue, Worker, type FlowJob } from 'bullmq'
import { findRedisServer } from '#local/redis.ts'
import { countdown, nothing, type Peer } from './peer.ts'

// A chain is a flow, each job the only child of the next. Redis appends to its file and syncs it once a second, as the
// guide to production has it: the last second may be lost, which none of the others risks.
const concurrency = 50

export const bullmq: Peer = {
  name: 'bullmq',
  settings: `a chain is a flow of nested jobs, worker concurrency ${concurrency}, over a unix socket, redis-server with appendonly, appendfsync everysec`,
  lacks: () =>
    findRedisServer() === undefined
      ? 'redis-server is not on the PATH, and ioredis-mock cannot run its scripts'
      : undefined,
  async open(dir) {
    const redis = await startRedis(dir)
    const connection = { path: redis.socket, maxRetriesPerRequest: null }
    const queue = new Queue('steps', { connection })
    const flows = new FlowProducer({ connection })
    const worker = new Worker('steps', nothing, { connection, concurrency })
    let tick = () => {}
    worker.on('completed', () => tick())
    worker.on('error', console.error)
    await worker.waitUntilReady()
    return {
      async chain(steps) {
        const finished = countdown(steps)
        tick = finished.tick
        await flows.add(nested(steps))
        await finished.done
      },
      async runs(count) {
        const finished = countdown(count)
        tick = finished.tick
        await Promise.all(Array.from({ length: count }, (_, n) => queue.add('single', { n })))
        await finished.done
      },
      async close() {
        await worker.close()
        await flows.close()
        await queue.close()
        await redis.stop()
      },
    }
  },
}

function nested(steps: number): FlowJob {
  const job = { name: 'step', queueName: 'steps' }
  return steps === 1 ? job : { ...job, children: [nested(steps - 1)] }
}

async function startRedis(dir: string) {
  const socket = join(dir, 'redis.sock')
  const settings = {
    port: '0',
    unixsocket: socket,
    dir,
    save: '',
    appendonly: 'yes',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const server = spawn(findRedisServer() ?? '', flags, { stdio: 'ignore' })
  while (!existsSync(socket)) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`)
    await pause(10)
  }
  return {
    socket,
    async stop() {
      const exited = once(server, 'exit')
      server.kill('SIGTERM')
      await exited
    },
  }
}
