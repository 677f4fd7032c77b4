import { setTimeout as pause } from 'node:timers/promises'

const firstMs = 5
const mostMs = 50

/** Asks until the answer is something, and gives it; fails with what was awaited when that takes too long. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + withinMs
  // What takes long is asked for less and less often: the one who answers has the same two cores.
  for (let waitMs = firstMs; ; waitMs = Math.min(waitMs * 1.4, mostMs)) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`)
    await pause(waitMs)
  }
}
