import type { ServerResponse } from 'node:http'

import type { Engine, Listening } from './engine.ts'

const mostUnread = 8 * 1024 * 1024

/** The subscriptions: answers that go on, one event after the other, until either side leaves. */
export class Streams {
  readonly #engine: Engine
  readonly #stats: { streams: number }
  readonly #open = new Set<ServerResponse>()

  constructor(engine: Engine, stats: { streams: number }) {
    this.#engine = engine
    this.#stats = stats
  }

  async open(listening: Listening, response: ServerResponse, syncToken: string): Promise<void> {
    let isGone = false
    response.on('close', () => (isGone = true))
    // Events may come before the head of the answer is written.
    let early: string[] | undefined = []
    const leave = await this.#engine.listen(
      listening,
      (event) => {
        if (early) early.push(event)
        else send(response, event)
      },
      () => response.end(),
    )
    if (isGone) return leave()
    this.#stats.streams++
    this.#open.add(response)
    response.on('close', () => {
      this.#open.delete(response)
      leave()
    })
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'Upstash-Sync-Token': syncToken,
    })
    response.flushHeaders()
    for (const event of early) send(response, event)
    early = undefined
  }

  cut(): number {
    const open = [...this.#open]
    for (const response of open) response.destroy()
    return open.length
  }
}

function send(response: ServerResponse, event: string): void {
  response.write(`data: ${event.replaceAll('\n', '\ndata: ')}\n\n`)
  // Whoever does not read is let go, or its messages would fill the memory.
  if (response.writableLength > mostUnread) response.destroy()
}
