import * as z from 'zod'

import type { Call, Reply } from './api.ts'
import type { Clock } from './clock.ts'
import { badRequest } from './failure.ts'
import { one, readName, readSpec, type Headers } from './publish-headers.ts'
import type { Published, Publisher, Target } from './publisher.ts'
import { parseCron, type Schedules } from './schedules.ts'
import { newToken } from './signature.ts'

type Parts = { clock: Clock; publisher: Publisher; schedules: Schedules }

const batch = z.array(
  z.object({
    destination: z.string(),
    headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])).default({}),
    body: z.string().nullish(),
    queue: z.string().optional(),
  }),
)

/** `POST /v2/publish/{destination}` and `POST /v2/enqueue/{queue}/{destination}`; the destination is the raw rest. */
export function publish(parts: Parts, call: Call, rest: string, queueName?: string): Reply {
  const { destination, headers } = readDestination(call, rest)
  const spec = readSpec(headers)
  if (queueName !== undefined) spec.queueName = readName('queue', queueName)
  else delete spec.queueName
  const { body, callerIp } = call
  const target = parts.publisher.resolve(destination)
  const results = parts.publisher.publish({ destination, spec, body, callerIp }, target)
  const isDuplicate = target.topicName === undefined && results[0]?.deduplicated === true
  return { status: isDuplicate ? 202 : 200, body: view(results, target), ...lostReply(results) }
}

/** `POST /v2/batch`: all of it is checked before any of it is published. */
export function publishBatch({ publisher }: Parts, call: Call): Reply {
  const items = batch.safeParse(parseJson(call.body))
  if (!items.success) throw badRequest('invalid batch: a list of {destination, headers, body} is expected')
  const ready = items.data.map(({ destination, headers, body, queue }) => {
    const lists: Headers = new Map()
    for (const [name, value] of Object.entries(headers))
      lists.set(name.toLowerCase(), typeof value === 'string' ? [value] : value)
    const spec = readSpec(lists)
    spec.queueName = queue === undefined ? undefined : readName('queue', queue)
    const { callerIp } = call
    const publish = { destination, spec, body: Buffer.from(body ?? ''), callerIp }
    return { publish, target: publisher.resolve(destination) }
  })
  const results = ready.map(({ publish, target }) => ({
    target,
    results: publisher.publish(publish, target),
  }))
  return {
    status: 200,
    body: results.map((each) => view(each.results, each.target)),
    ...lostReply(results.flatMap((each) => each.results)),
  }
}

/** `POST /v2/schedules/{destination}` */
export function createSchedule({ clock, publisher, schedules }: Parts, call: Call, rest: string): Reply {
  const { destination, headers } = readDestination(call, rest)
  publisher.resolve(destination)
  const cron = one(headers, 'upstash-cron')
  if (cron === undefined) throw badRequest('invalid schedule: Upstash-Cron is missing')
  parseCron(cron)
  const scheduleId = one(headers, 'upstash-schedule-id') ?? `scd_${newToken()}`
  const { body, callerIp } = call
  const spec = readSpec(headers)
  schedules.put({
    scheduleId,
    cron,
    destination,
    spec,
    body,
    callerIp,
    createdAt: clock.now(),
    isPaused: false,
  })
  return { status: 200, body: { scheduleId } }
}

/** Every `Upstash-*` header may also be a parameter of the URL; it is then no part of the destination. */
function readDestination(call: Call, rest: string): { destination: string; headers: Headers } {
  const headers: Headers = new Map()
  for (const [name, values] of Object.entries(call.headers)) if (values) headers.set(name, values)
  if (!/[?&](upstash-|qstash_token=)/i.test(rest)) return { destination: rest, headers }
  const at = rest.indexOf('?')
  const kept: string[] = []
  for (const part of rest.slice(at + 1).split('&')) {
    const [name = '', value = ''] = part.split('=', 2)
    if (name === 'qstash_token') continue
    if (/^upstash-/i.test(name))
      headers.set(name.toLowerCase(), [decodeURIComponent(value.replaceAll('+', ' '))])
    else kept.push(part)
  }
  return { destination: rest.slice(0, at) + (kept.length > 0 ? `?${kept.join('&')}` : ''), headers }
}

function view(results: readonly Published[], target: Target): unknown {
  const [first] = results
  if (target.topicName === undefined && first)
    return { messageId: first.messageId, ...(first.deduplicated ? { deduplicated: true } : {}) }
  return results.map(({ messageId, url, deduplicated }) => ({
    messageId,
    url,
    ...(deduplicated ? { deduplicated } : {}),
  }))
}

const lostReply = (results: readonly Published[]): { hangUp?: true } =>
  results.some(({ losesReply }) => losesReply) ? { hangUp: true } : {}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw badRequest('the body is not JSON')
  }
}
