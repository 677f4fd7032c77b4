import * as z from 'zod'

import { done, ok, type Call, type Reply } from './api.ts'
import type { Broker } from './broker.ts'
import { badRequest, notFound } from './failure.ts'
import type { FlowPin } from './flow-gate.ts'
import { checkUrl, readName } from './publish-headers.ts'
import { parseJson } from './publish-routes.ts'
import type { Schedules } from './schedules.ts'
import type { UrlGroups } from './url-groups.ts'
import { scheduleView } from './views.ts'

type Path = readonly string[]

const newQueue = z.object({
  queueName: z.string(),
  parallelism: z.int().min(1).optional(),
  paused: z.boolean().optional(),
})
const endpointList = z.object({
  endpoints: z.array(z.object({ name: z.string().optional(), url: z.string().optional() })),
})

/** `/v2/queues[/{name}[/pause|resume]]` */
export function queues(broker: Broker, call: Call, [name, verb]: Path): Reply | undefined {
  if (name === undefined) {
    if (call.method === 'GET') return ok(broker.queues.views())
    if (call.method !== 'POST') return undefined
    const { queueName, parallelism = 1, paused } = parse(newQueue, call.body)
    const change = paused === undefined ? { parallelism } : { parallelism, isPaused: paused }
    broker.queues.upsert(readName('queue', queueName), change)
    return done
  }
  if (call.method === 'POST' && (verb === 'pause' || verb === 'resume')) {
    broker.queues.upsert(readName('queue', name), { isPaused: verb === 'pause' })
    return done
  }
  if (verb !== undefined) return undefined
  if (call.method === 'GET') return ok(broker.queues.view(name))
  if (call.method !== 'DELETE') return undefined
  broker.queues.view(name)
  for (const { message } of broker.pending.values()) if (message.queueName === name) broker.cancel(message.id)
  broker.queues.remove(name)
  return done
}

/** `/v2/schedules[/{id}[/pause|resume]]`, but for creating one. */
export function schedules(all: Schedules, call: Call, [id, verb]: Path): Reply | undefined {
  if (id === undefined) return call.method === 'GET' ? ok(all.list().map(scheduleView)) : undefined
  if (verb === undefined) {
    if (call.method === 'GET') return ok(scheduleView(all.get(id)))
    if (call.method !== 'DELETE') return undefined
    all.remove(id)
    return done
  }
  const isChange = call.method === 'POST' || call.method === 'PATCH'
  if (!isChange || (verb !== 'pause' && verb !== 'resume')) return undefined
  all.setPaused(id, verb === 'pause')
  return done
}

/** `/v2/topics[/{name}[/endpoints]]` */
export function urlGroups(groups: UrlGroups, call: Call, [name, verb]: Path): Reply | undefined {
  if (name === undefined) return call.method === 'GET' ? ok(groups.views()) : undefined
  if (verb === undefined) {
    if (call.method === 'GET') return ok(groups.view(name))
    if (call.method !== 'DELETE') return undefined
    groups.remove(name)
    return done
  }
  if (verb !== 'endpoints') return undefined
  const endpoints = parse(endpointList, call.body).endpoints.map((each) => ({
    ...(each.name === undefined ? {} : { name: each.name }),
    ...(each.url === undefined ? {} : { url: checkUrl(each.url, 'endpoint url') }),
  }))
  if (call.method === 'DELETE') groups.removeEndpoints(name, endpoints)
  else if (call.method === 'POST')
    groups.add(
      readName('topic', name),
      endpoints.map(({ url, ...rest }) => {
        if (url === undefined) throw badRequest('invalid endpoint: url is missing')
        return { ...rest, url }
      }),
    )
  else return undefined
  return done
}

/** `/v2/flowControl[/{key}[/pause|resume|pin|unpin|resetRate]]` */
export function flowControl({ flows }: Broker, call: Call, [key, verb]: Path): Reply | undefined {
  const query = new URLSearchParams(call.search)
  if (key === undefined) {
    const search = query.get('search') ?? ''
    return call.method === 'GET'
      ? ok(
          flows
            .list()
            .filter((each) => each.key.includes(search))
            .map((each) => each.view()),
        )
      : undefined
  }
  if (verb === undefined) {
    const flow = flows.find(key)
    if (call.method !== 'GET') return undefined
    if (!flow) throw notFound(`flow control key ${key} not found`)
    return ok(flow.view())
  }
  if (call.method !== 'POST') return undefined
  if (verb === 'pause' || verb === 'resume')
    flows.set(readName('flow control', key), { isPaused: verb === 'pause' })
  else if (verb === 'pin') flows.set(readName('flow control', key), { pin: readPin(query) })
  else if (verb === 'unpin') {
    const { pin } = flows.get(key).setting
    const parallelism = query.get('parallelism') === 'true' ? undefined : pin.parallelism
    const rate = query.get('rate') === 'true' ? undefined : pin.rate
    flows.set(key, { pin: { ...pin, parallelism, rate } })
  } else if (verb === 'resetRate' || verb === 'reset') flows.get(key).resetRate()
  else return undefined
  return done
}

function readPin(query: URLSearchParams): FlowPin {
  const number = (name: string): number | undefined => {
    const value = query.get(name)
    if (value === null) return undefined
    if (!/^\d+$/.test(value)) throw badRequest(`invalid ${name}: "${value}" is not a whole number`)
    return Number(value)
  }
  return {
    parallelism: number('parallelism'),
    rate: number('rate'),
    periodMs: (number('period') ?? 1) * 1_000,
  }
}

function parse<T>(schema: z.ZodType<T>, body: Buffer): T {
  const parsed = schema.safeParse(parseJson(body))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw badRequest(`invalid ${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not readable'}`)
}
