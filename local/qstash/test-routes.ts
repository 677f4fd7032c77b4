import * as z from 'zod'

import { done, ok, type Call, type Reply } from './api.ts'
import type { Control } from './control.ts'
import { badRequest, notFound } from './failure.ts'
import { parseJson } from './publish-routes.ts'

const status = z.int().min(100).max(599)
const ms = z.number().min(0)
const fault = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('dropAttempt'), retryAfterMs: ms.exactOptional() }),
  z.object({ kind: z.literal('losePublish') }),
  z.object({
    kind: z.literal('duplicate'),
    copies: z.int().min(1).exactOptional(),
    afterMs: ms.exactOptional(),
  }),
  z.object({ kind: z.literal('reorder'), ms }),
  z.object({ kind: z.literal('delay'), ms }),
  z.object({ kind: z.literal('dropAck'), retryAfterMs: ms.exactOptional() }),
  z.object({ kind: z.literal('loseReply') }),
  z.object({
    kind: z.literal('limit'),
    family: z.enum(['burst', 'daily']),
    limit: z.int().exactOptional(),
    resetAt: z.int().exactOptional(),
  }),
  z.object({ kind: z.literal('slowApi'), ms }),
  z.object({ kind: z.literal('tamper'), part: z.enum(['signature', 'body']) }),
  z.object({ kind: z.literal('rotateKeys') }),
  z.object({
    kind: z.literal('answer'),
    status,
    headers: z.record(z.string(), z.string()).exactOptional(),
    retryAfterMs: ms.exactOptional(),
  }),
])
const options = z.object({
  every: z.int().min(1).exactOptional(),
  times: z.int().min(1).exactOptional(),
  url: z.string().exactOptional(),
})

/** `/__test/*`: the control over HTTP, for tests that run in another process. */
export async function testRoutes(
  control: Control,
  stats: () => unknown,
  call: Call,
): Promise<Reply | undefined> {
  const query = new URLSearchParams(call.search)
  const [, , name, id] = call.path.split('/')
  const route = `${call.method} ${name}`
  if (route === 'GET stats') return ok(stats())
  if (route === 'POST advance')
    return ok({ ran: control.advance(number(query, 'ms') ?? 0), now: control.now() })
  if (route === 'POST rotate') return ok(control.rotateKeys())
  if (route === 'POST backoff') {
    control.setBackoff(number(query, 'ms'))
    return done
  }
  if (route === 'GET idle') {
    const withinMs = number(query, 'withinMs')
    await control.idle(withinMs === undefined ? {} : { withinMs })
    return done
  }
  if (route === 'GET deliveries')
    return ok(control.deliveries().map((each) => ({ ...each, body: each.body.toString('base64') })))
  if (route === 'DELETE deliveries') {
    control.clearDeliveries()
    return done
  }
  if (name === 'faults') return faults(control, call, id)
  return undefined
}

function faults({ faults: all }: Control, call: Call, id: string | undefined): Reply | undefined {
  if (call.method === 'GET') return ok(all.list())
  if (call.method === 'POST') {
    const body = parseJson(call.body)
    const parsed = fault.safeParse(body)
    const wanted = options.safeParse(body)
    if (!parsed.success || !wanted.success) throw badRequest('invalid fault')
    all.inject(parsed.data, wanted.data)
    return { status: 201, body: all.list().at(-1) }
  }
  if (call.method !== 'DELETE') return undefined
  if (id === undefined) all.clear()
  else if (!all.remove(Number(id))) throw notFound(`fault ${id} not found`)
  return done
}

function number(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  if (value === null) return undefined
  if (!/^\d+$/.test(value)) throw badRequest(`invalid ${name}: "${value}" is not a whole number`)
  return Number(value)
}
