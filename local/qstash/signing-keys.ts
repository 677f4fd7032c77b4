import type { Journal } from './journal.ts'
import { newSigningKey } from './signature.ts'

export type KeyPair = { current: string; next: string }
type Stored = KeyPair & { given: KeyPair }

/** The two signing keys. Rotated ones outlive a restart, unless other keys are given to the new start. */
export class SigningKeys {
  readonly #given: KeyPair
  readonly #journal: Journal
  #pair: KeyPair

  constructor(given: KeyPair, journal: Journal) {
    this.#given = given
    this.#journal = journal
    const stored = journal.read<Stored>('keys')[0]?.[1]
    const isSame = stored?.given.current === given.current && stored.given.next === given.next
    this.#pair = stored && isSame ? { current: stored.current, next: stored.next } : given
    journal.keep('keys', () => [['pair', { ...this.#pair, given }]])
  }

  get pair(): KeyPair {
    return this.#pair
  }

  rotate(): KeyPair {
    this.#pair = { current: this.#pair.next, next: newSigningKey() }
    this.#journal.put('keys', 'pair', { ...this.#pair, given: this.#given })
    return this.#pair
  }
}
