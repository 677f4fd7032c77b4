import type { Receiver } from '@upstash/qstash'
import { Hono } from 'hono'
import type { Delivery } from '#src/db/run-moves.ts'
import { jobs, type JobName, type JobPayload } from '#src/domain/job.ts'

export type JobHandlers = { [N in JobName]: (payload: JobPayload<N>, delivery: Delivery) => Promise<void> }

/** Nothing that QStash carries for us is near this; what it brings of somebody else's may be. */
const mostBytes = 64 * 1024
const mostAnswerBytes = 8 * 1024 * 1024

/**
 * Where QStash delivers: verify, parse, run. 204 says done; 489 that it can never work; 503 asks for it again.
 * Who may call is decided by the signature alone, checked against the address that the configuration gives.
 */
export function jobRoutes(options: {
  publicUrl: string
  currentSigningKey: string
  nextSigningKey: string
  handlers: JobHandlers
  log(entry: Record<string, unknown>): void
}): Hono {
  const { currentSigningKey, nextSigningKey } = options
  let receiver: Receiver | undefined
  return new Hono().post('/:job', async (c) => {
    const startedMs = Date.now()
    const name = c.req.param('job')
    const body = await c.req.text()
    const signature = c.req.header('Upstash-Signature')
    const token = c.req.query('token')
    const url = `${options.publicUrl}/jobs/${name}${new URL(c.req.url).search}`
    const most = name === 'answer' ? mostAnswerBytes : mostBytes
    const qstash = await import('@upstash/qstash')
    receiver ??= new qstash.Receiver({ currentSigningKey, nextSigningKey })
    if (!signature || body.length > most || !(await isSigned(receiver, signature, body, url))) {
      return c.json({ title: 'Unauthorized', status: 401, code: 'unauthenticated' }, 401, problemJson)
    }
    const delivery: Delivery = {
      id: c.req.header('Upstash-Message-Id') ?? signature.slice(-40),
      retry: Number(c.req.header('Upstash-Retried') ?? 0) > 0,
    }
    const job = isJob(name) ? name : undefined
    const payload = job
      ? jobs[job].safeParse(job === 'answer' ? answerOf(token, body) : jsonOf(body))
      : undefined
    if (!job || !payload?.success) {
      options.log({ event: 'job.refused', job: name, messageId: delivery.id })
      return c.body(null, 489 as never, { 'Upstash-NonRetryable-Error': 'true' })
    }
    try {
      await run(options.handlers, job, payload.data, delivery)
      options.log({
        event: 'job',
        job,
        messageId: delivery.id,
        ...idsOf(payload.data),
        ms: Date.now() - startedMs,
      })
      return c.body(null, 204)
    } catch (error) {
      const reason = error instanceof Error ? error.name : typeof error
      options.log({
        event: 'job.failed',
        job,
        messageId: delivery.id,
        ...idsOf(payload.data),
        reason,
        ms: Date.now() - startedMs,
      })
      return c.json({ title: 'Service Unavailable', status: 503, code: 'unavailable' }, 503, problemJson)
    }
  })
}

const problemJson = { 'Content-Type': 'application/problem+json' }

const isJob = (name: string): name is JobName => Object.hasOwn(jobs, name)

const run = <N extends JobName>(handlers: JobHandlers, job: N, payload: unknown, delivery: Delivery) =>
  handlers[job](payload as JobPayload<N>, delivery)

const idsOf = (payload: object) => ({
  ...('tenantId' in payload ? { tenantId: payload.tenantId } : {}),
  ...('runId' in payload ? { runId: payload.runId } : {}),
})

async function isSigned(receiver: Receiver, signature: string, body: string, url: string): Promise<boolean> {
  try {
    return await receiver.verify({ signature, body, url, clockTolerance: 5 })
  } catch {
    return false
  }
}

function answerOf(token: string | undefined, body: string): unknown {
  const told = jsonOf(body)
  return typeof told === 'object' && told !== null ? { ...told, token } : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text === '' ? '{}' : text)
  } catch {
    return undefined
  }
}
