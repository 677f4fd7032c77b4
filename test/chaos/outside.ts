import { setTimeout as pause } from 'node:timers/promises'
import { serve } from '#test/support/server.ts'

export type Outside = { url: string; close: () => Promise<void> }

/**
 * A server that pipelines call. `/now` fails so often for each run and then answers; `/later` takes the order and reports
 * by the callback that it was told, twice.
 */
export async function openOutside(): Promise<Outside> {
  const asked = new Map<string, number>()
  const over = new AbortController()
  const reporting = new Set<Promise<void>>()
  const server = await serve(() => async (request) => {
    const { pathname, searchParams } = new URL(request.url)
    const n = Number(searchParams.get('n'))
    if (pathname === '/later') {
      const { answerTo } = (await request.json()) as { answerTo: string }
      const reported = report(answerTo, n, over.signal).catch(() => undefined)
      reporting.add(reported)
      void reported.finally(() => reporting.delete(reported))
      return Response.json({ taken: true }, { status: 202 })
    }
    const who = `${searchParams.get('step')} ${searchParams.get('run')}`
    const times = (asked.get(who) ?? 0) + 1
    asked.set(who, times)
    if (times <= Number(searchParams.get('fails'))) return new Response('not yet', { status: 503 })
    return Response.json({ n })
  })
  return {
    url: server.url,
    async close() {
      over.abort()
      await Promise.all(reporting)
      await server.close()
    },
  }
}

/** Until it is taken, as anybody's job would: and once more, for nobody knows whether the answer will be lost. */
async function report(address: string, n: number, signal: AbortSignal): Promise<void> {
  await pause(20 + (n % 200), undefined, { signal })
  for (let taken = 0; taken < 2;) {
    const reply = await fetch(address, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ status: 'succeeded', output: { n } }),
      signal,
    }).catch(() => undefined)
    await reply?.text().catch(() => undefined)
    // 409, 410 and 404 say that nobody waits for it any more.
    if (reply && reply.status < 500 && reply.status !== 429) taken++
    else await pause(150, undefined, { signal })
  }
}
