import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { createApi, ok, type Call, type Reply } from './qstash/api.ts'
import { Attempts } from './qstash/attempt.ts'
import { Broker, type Stats } from './qstash/broker.ts'
import { Clock } from './qstash/clock.ts'
import { Control } from './qstash/control.ts'
import { DeadLetters } from './qstash/dead-letters.ts'
import { Deduplication } from './qstash/deduplication.ts'
import { Deliveries } from './qstash/deliveries.ts'
import { ApiFailure } from './qstash/failure.ts'
import { Faults } from './qstash/faults.ts'
import { FlowGates } from './qstash/flow-gates.ts'
import { Journal } from './qstash/journal.ts'
import { Log } from './qstash/log.ts'
import { flowControl, queues, schedules, urlGroups } from './qstash/manage-routes.ts'
import { deadLetters, logs, messages } from './qstash/message-routes.ts'
import { createSchedule, publish, publishBatch } from './qstash/publish-routes.ts'
import { Publisher } from './qstash/publisher.ts'
import { Queues } from './qstash/queues.ts'
import { Schedules } from './qstash/schedules.ts'
import { Sender } from './qstash/sender.ts'
import { SigningKeys } from './qstash/signing-keys.ts'
import { testRoutes } from './qstash/test-routes.ts'
import { UrlGroups } from './qstash/url-groups.ts'

export type { Fault } from './qstash/faults.ts'

export type QstashOptions = {
  /** Where the state is kept; without it, it ends with the server. */
  dir?: string
  port?: number
  token: string
  currentSigningKey: string
  nextSigningKey: string
  /** How many deliveries may be in flight at once; 100 as on the pay-as-you-go plan. */
  globalParallelism?: number
  /** How long a destination may take when the message does not say. */
  timeoutMs?: number
  maxMessageBytes?: number
  /** For the faults that are random. */
  seed?: number
}

type QstashStats = Stats & { inFlight: number; waiting: number; pending: number; dlq: number }

export type Qstash = {
  url: string
  port: number
  control: Control
  stats(): QstashStats
  /** Lets deliveries in flight end for a moment; what does not end is delivered again after the next start. */
  stop(): Promise<void>
  /** Ends like a killed process: nothing more is written or sent. */
  kill(): Promise<void>
}

const farewellMs = 500

/**
 * Upstash QStash v2 for a laptop and for tests: the unmodified @upstash/qstash Client and Receiver work with it. It
 * calls any URL it is told to, private addresses included, so it listens on the loopback address only.
 */
export async function startQstash(options: QstashOptions): Promise<Qstash> {
  if (process.env.NODE_ENV === 'production')
    throw new Error('The local QStash is for development: it does not start in production')
  const journal = new Journal(options.dir)
  const clock = new Clock()
  const faults = new Faults(options.seed)
  const keys = new SigningKeys({ current: options.currentSigningKey, next: options.nextSigningKey }, journal)
  const deliveries = new Deliveries(clock)
  const sender = new Sender()
  const timeoutMs = options.timeoutMs ?? 15 * 60_000
  const attempts = new Attempts({ clock, sender, keys, faults, deliveries, timeoutMs })
  const letters = new DeadLetters(journal)
  const log = new Log()
  const globalParallelism = options.globalParallelism ?? 100
  const broker = new Broker({
    clock,
    journal,
    log,
    deadLetters: letters,
    attempts,
    globalParallelism,
    gates: (next) => ({
      queues: new Queues(clock, journal, next),
      flows: new FlowGates(clock, journal, next),
    }),
  })
  const groups = new UrlGroups(clock, journal)
  const deduplication = new Deduplication(clock, journal)
  const publisher = new Publisher({ clock, broker, groups, deduplication, faults })
  const plans = new Schedules(clock, journal, publisher)
  broker.onFinish(({ messageId, state }) =>
    plans.noteFinish(messageId, state === 'DELIVERED' ? 'SUCCESS' : 'FAIL'),
  )
  journal.open()
  const control = new Control({ attempts, broker, clock, deliveries, faults, keys })
  const stats = (): QstashStats => ({
    ...broker.stats,
    inFlight: broker.global.active,
    waiting: broker.waitingCount(),
    pending: broker.pending.size,
    dlq: letters.size,
  })

  const publishing = { clock, publisher, schedules: plans }
  const reading = { broker, clock, deadLetters: letters, log }
  function route(call: Call): Reply | Promise<Reply> {
    const { method, path, url } = call
    if (method === 'POST') {
      if (url.startsWith('/v2/publish/')) return publish(publishing, call, url.slice('/v2/publish/'.length))
      if (path === '/v2/batch') return publishBatch(publishing, call)
      const enqueue = /^\/v2\/enqueue\/([^/]+)\/(.*)$/.exec(url)
      if (enqueue) return publish(publishing, call, enqueue[2] ?? '', enqueue[1])
      const isNewSchedule =
        url.startsWith('/v2/schedules/') && !/^[^/]+\/(pause|resume)$/.test(path.slice(14))
      if (isNewSchedule) return createSchedule(publishing, call, url.slice('/v2/schedules/'.length))
    }
    if (path.startsWith('/__test/')) return testRoutes(control, stats, call).then(orNotFound)
    return orNotFound(manage(call))
  }

  function manage(call: Call): Reply | undefined {
    const [, version, name, ...path] = call.path.split('/').map(decodeURIComponent)
    if (version !== 'v2') return undefined
    if (name === 'messages' && path.length <= 1) return messages(reading, call, path[0])
    if (name === 'dlq') return deadLetters(reading, call, path)
    if (name === 'logs' || name === 'events') return logs(reading, call, name)
    if (name === 'queues') return queues(broker, call, path)
    if (name === 'schedules') return schedules(plans, call, path)
    if (name === 'topics') return urlGroups(groups, call, path)
    if (name === 'flowControl') return flowControl(broker, call, path)
    if (name === 'globalParallelism')
      return ok({ parallelismMax: broker.global.limit, parallelismCount: broker.global.active })
    if (name === 'keys' && path.length === 0) return ok(keys.pair)
    if (name === 'keys' && path[0] === 'rotate' && call.method === 'POST') return ok(keys.rotate())
    return undefined
  }

  const maxBodyBytes = options.maxMessageBytes ?? 10 * 1024 * 1024
  const http = createServer(
    { keepAliveTimeout: 75_000, noDelay: true },
    createApi({ token: options.token, faults, journal, maxBodyBytes, route }),
  )
  const port = await listen(http, options.port ?? 0)

  let isEnded = false
  async function end(): Promise<void> {
    isEnded = true
    broker.stop()
    clock.stop()
    sender.stop()
    const closed = new Promise((done) => http.close(done))
    http.closeAllConnections()
    await closed
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    control,
    stats,
    async stop() {
      if (isEnded) return
      await Promise.race([broker.quiesce(), sleep(farewellMs, undefined, { ref: false })])
      journal.close()
      await end()
    },
    async kill() {
      if (isEnded) return
      journal.kill()
      await end()
    },
  }
}

const orNotFound = (reply: Reply | undefined): Reply => {
  if (!reply) throw new ApiFailure(404, 'not found')
  return reply
}

async function listen(http: ReturnType<typeof createServer>, port: number): Promise<number> {
  await new Promise<void>((done, fail) => {
    http.once('error', (cause: NodeJS.ErrnoException) =>
      fail(
        cause.code === 'EADDRINUSE'
          ? new Error(`Port ${port} is already in use: choose another for the local QStash`, { cause })
          : cause,
      ),
    )
    http.listen(port, '127.0.0.1', done)
  })
  return (http.address() as AddressInfo).port
}
