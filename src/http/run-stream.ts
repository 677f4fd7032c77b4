import type { Context } from 'hono'
import { readRecord } from '#src/actions/logs.ts'
import { isStillLetIn } from '#src/actions/sessions.ts'
import { watchLive } from '#src/cache/live.ts'
import type { LogLine } from '#src/db/logs.ts'
import type { Place, RunEvent, RunRecord } from '#src/db/run-record.ts'
import type { RunId } from '#src/domain/id.ts'
import { placeOfItem } from '#src/domain/item-place.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

/** What one look at the database brings, and all of a run that is held at once: lines are up to 8 KB long. */
const most = { events: 500, lines: 100 }
/** How long to go without a word before looking anyway: Redis may be away, and proxies close silent streams. */
const patienceMs = 5_000
/** How long somebody may go on listening who is not let in any more, once there is something to say or patience ends. */
const lookMs = 3_000

/**
 * A run's events and its log as server-sent events, from the beginning or after `Last-Event-ID`, until the run is over.
 * What has an id is the run's history; `progress` has none and may be missed. An id says how much has been seen of both,
 * `<last event>.<last line>`, without the second part where there was no line yet: so neither has to wait for the other to
 * be numbered, and whoever comes back with any id gets exactly what followed it.
 */
export async function streamRunEvents(c: Context<ApiEnv>, runId: RunId, from?: string): Promise<Response> {
  const { ctx } = c.var
  let after = placeOf(c.req.header('last-event-id') ?? from)
  // Asked before the stream begins, so that what is not there is a 404 like anywhere else.
  let found = await readRecord(ctx, runId, after, most, true)
  const encoder = new TextEncoder()
  let closed = false
  let lookedMs = Date.now()
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
      for (const said of inOrder(found)) {
        after = 'type' in said ? { ...after, event: said.seq } : { ...after, line: said.seq }
        const id = after.line > 0 ? `${after.event}.${after.line}` : after.event
        const [name, data] = 'type' in said ? [said.type, eventToJson(said)] : ['log', lineToJson(said)]
        yield `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
      }
      if (found.finished || closed) return
      yield found.steps.length > 0
        ? `event: progress\ndata: ${JSON.stringify({ steps: found.steps })}\n\n`
        : ': waiting\n\n'
      if (found.events.length < most.events && found.lines.length < most.lines) await word()
      if (closed) return
      if (Date.now() - lookedMs >= lookMs) {
        // The client comes again, and is told why not.
        if (!(await isStillLetIn(ctx))) return
        lookedMs = Date.now()
      }
      found = await readRecord(ctx, runId, after, most, false)
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

export function placeOf(text: string | undefined): Place {
  if (text === undefined || text === '') return { event: 0, line: 0 }
  const [, event, line] = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text) ?? []
  if (event === undefined)
    throw new Problem('malformed', 'Last-Event-ID must be the id of an event of this run.')
  return { event: Number(event), line: Number(line ?? 0) }
}

/** Events and lines by their times, each kind in its own order. */
function* inOrder({ events, lines }: RunRecord): Generator<RunEvent | LogLine> {
  let line = 0
  for (const event of events) {
    for (let next = lines[line]; next && next.at < event.at; next = lines[++line]) yield next
    yield event
  }
  yield* lines.slice(line)
}

function placeToJson(index: number | null): { outer?: number; mapIndex?: number } {
  if (index === null) return {}
  const { outer, item } = placeOfItem(index)
  return { ...(outer === undefined ? {} : { outer }), mapIndex: item }
}

export const eventToJson = (event: RunEvent) => ({
  ...event.data,
  seq: event.seq,
  at: event.at.toISOString(),
  type: event.type,
  ...(event.stepKey ? { step: event.stepKey } : {}),
  ...placeToJson(event.mapIndex),
  actor: event.actor,
})

export const lineToJson = (line: LogLine) => ({
  seq: line.seq,
  at: line.at.toISOString(),
  step: line.stepKey,
  ...placeToJson(line.mapIndex),
  level: line.level,
  message: line.message,
})
