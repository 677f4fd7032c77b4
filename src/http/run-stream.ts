import type { Context } from 'hono'
import { readRunEvents } from '#src/actions/runs.ts'
import { watchLive } from '#src/cache/live.ts'
import type { RunId } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

/** Events in one look at the database. */
const mostEvents = 500
/** How long to go without a word before looking anyway: Redis may be away, and proxies close silent streams. */
const patienceMs = 5_000

/**
 * A run's events as server-sent events, from the beginning or after `Last-Event-ID`, until the run is over. Events with
 * an id are the run's history; `progress` has none and may be missed.
 */
export async function streamRunEvents(c: Context<ApiEnv>, runId: RunId, from?: string): Promise<Response> {
  const { ctx } = c.var
  let after = lastEventId(c.req.header('last-event-id') ?? from)
  // Asked before the stream begins, so that what is not there is a 404 like anywhere else.
  let found = await readRunEvents(ctx, runId, after, mostEvents)
  const encoder = new TextEncoder()
  let closed = false
  let wake: () => void = () => undefined
  let moved = false
  const moves = () => {
    moved = true
    wake()
  }
  const unwatch = found.finished ? () => undefined : watchLive(ctx.services.cache, ctx.tenantId, runId, moves)
  const close = () => {
    if (closed) return
    closed = true
    unwatch()
    wake()
  }
  c.req.raw.signal.addEventListener('abort', close, { once: true })

  async function* messages(): AsyncGenerator<string> {
    yield 'retry: 1000\n\n'
    for (;;) {
      for (const event of found.events) {
        after = event.seq
        yield `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(eventToJson(event))}\n\n`
      }
      if (found.finished || closed) return
      yield found.steps.length > 0
        ? `event: progress\ndata: ${JSON.stringify({ steps: found.steps })}\n\n`
        : ': waiting\n\n'
      if (found.events.length < mostEvents) await word()
      if (closed) return
      found = await readRunEvents(ctx, runId, after, mostEvents)
    }
  }

  async function word(): Promise<void> {
    if (!moved) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patienceMs)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    moved = false
  }

  const source = messages()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await source.next()
        if (next.done) {
          close()
          controller.close()
        } else {
          controller.enqueue(encoder.encode(next.value))
        }
      } catch {
        // The client connects again with the last id that it saw.
        close()
        controller.close()
      }
    },
    cancel: close,
  })
  return new Response(body, {
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' },
  })
}

function lastEventId(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (!/^\d{1,9}$/.test(text))
    throw new Problem('malformed', 'Last-Event-ID must be the id of an event of this run.')
  return Number(text)
}

type Event = Awaited<ReturnType<typeof readRunEvents>>['events'][number]

const eventToJson = (event: Event) => ({
  ...event.data,
  seq: event.seq,
  at: event.at.toISOString(),
  type: event.type,
  ...(event.stepKey ? { step: event.stepKey } : {}),
  actor: event.actor,
})
