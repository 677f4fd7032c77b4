import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until `url` answers at all, whatever the status; gives up when `hasEnded` says why it never will. */
export async function awaitAnswer(
  url: string,
  options: { withinMs: number; hasEnded(): string | undefined },
): Promise<void> {
  const until = Date.now() + options.withinMs
  for (;;) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(Math.max(1, until - Date.now())) })
      await answer.body?.cancel()
      return
    } catch (cause) {
      const ended = options.hasEnded()
      if (ended !== undefined) throw new Error(ended, { cause })
      if (Date.now() > until)
        throw new Error(`${url} did not answer within ${Math.round(options.withinMs / 1000)} s.`, { cause })
    }
    await sleep(15)
  }
}
