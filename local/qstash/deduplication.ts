import { createHash } from 'node:crypto'

import type { Clock } from './clock.ts'
import type { Journal } from './journal.ts'
import type { Spec } from './message.ts'

const windowMs = 10 * 60_000
type Known = { messageId: string; until: number }

/** Remembers for ten minutes what must not be published again. */
export class Deduplication {
  /** In the order in which they expire, because the window is the same for all. */
  readonly #known = new Map<string, Known>()
  readonly #clock: Clock
  readonly #journal: Journal

  constructor(clock: Clock, journal: Journal) {
    this.#clock = clock
    this.#journal = journal
    for (const [key, known] of journal.read<Known>('known')) this.#known.set(key, known)
    journal.keep('known', () => this.#known)
  }

  find(key: string): string | undefined {
    this.#expire()
    return this.#known.get(key)?.messageId
  }

  add(key: string, messageId: string): void {
    const known = { messageId, until: this.#clock.now() + windowMs }
    this.#known.set(key, known)
    this.#journal.put('known', key, known)
  }

  #expire(): void {
    const now = this.#clock.now()
    for (const [key, { until }] of this.#known) {
      if (until > now) return
      this.#known.delete(key)
      this.#journal.delete('known', key)
    }
  }
}

/** What two publishes have in common when one is a duplicate of the other; undefined when duplicates are welcome. */
export function deduplicationKey(spec: Spec, url: string, body: Buffer): string | undefined {
  if (spec.deduplicationId !== undefined) return `${url}\n${spec.deduplicationId}`
  if (!spec.isContentDeduplicated) return undefined
  const sum = createHash('sha256').update(url).update('\n').update(body).update('\n')
  for (const name of Object.keys(spec.headers).toSorted())
    sum.update(`${name}:${spec.headers[name]?.join(',')}\n`)
  return `${url}\ncontent:${sum.digest('base64url')}`
}
