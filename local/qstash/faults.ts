/** What goes wrong on command. */
export type Fault =
  /** The attempt never reaches the destination and counts as failed. */
  | { kind: 'dropAttempt'; retryAfterMs?: number }
  /** The publish is answered with success and the message is never delivered. */
  | { kind: 'losePublish' }
  /** The destination gets the same message again, `afterMs` later or at the same time. */
  | { kind: 'duplicate'; copies?: number; afterMs?: number }
  /** Each message is held back by a random time up to `ms`, so that messages overtake each other. */
  | { kind: 'reorder'; ms: number }
  | { kind: 'delay'; ms: number }
  /** The destination's success is not noticed, so the message is delivered again. */
  | { kind: 'dropAck'; retryAfterMs?: number }
  /** The publish is carried out; then the connection is closed without an answer. */
  | { kind: 'loseReply' }
  /** The API answers 429 in one of QStash's two ways. */
  | { kind: 'limit'; family: 'burst' | 'daily'; limit?: number; resetAt?: number }
  /** The API takes its time. */
  | { kind: 'slowApi'; ms: number }
  /** The signature, or the body under a true signature, arrives changed. */
  | { kind: 'tamper'; part: 'signature' | 'body' }
  /** The keys rotate after the attempt was signed and before it is sent. */
  | { kind: 'rotateKeys' }
  /** The destination is not asked: the attempt ends with this status. */
  | { kind: 'answer'; status: number; headers?: Record<string, string>; retryAfterMs?: number }

export type FaultOptions = {
  /** Strikes one in so many; every one when not given. */
  every?: number
  /** How many it strikes; for good when not given. */
  times?: number
  /** Strikes only where the destination URL contains this or is accepted by it. */
  url?: string | ((url: string) => boolean)
}

export type ArmedFault = { id: number; fault: Fault; options: FaultOptions; seen: number; struck: number }

const faultKinds = {
  api: ['limit', 'slowApi'],
  publish: ['losePublish', 'loseReply', 'reorder', 'delay'],
  attempt: ['dropAttempt', 'duplicate', 'dropAck', 'tamper', 'rotateKeys', 'answer'],
} as const satisfies Record<string, readonly Fault['kind'][]>

type Point = keyof typeof faultKinds
type At<P extends Point> = Extract<Fault, { kind: (typeof faultKinds)[P][number] }>

export class Faults {
  #armed: ArmedFault[] = []
  #count = 0
  #random: number

  constructor(seed = 1) {
    this.#random = seed
  }

  /** Arms a fault and gives the function that takes it back. Several may be armed; each strikes by its own count. */
  inject(fault: Fault, options: FaultOptions = {}): () => void {
    const armed: ArmedFault = { id: ++this.#count, fault, options, seen: 0, struck: 0 }
    this.#armed.push(armed)
    return () => {
      this.remove(armed.id)
    }
  }

  remove(id: number): boolean {
    const before = this.#armed.length
    this.#armed = this.#armed.filter((each) => each.id !== id)
    return this.#armed.length < before
  }

  clear(): void {
    this.#armed = []
  }

  list(): readonly ArmedFault[] {
    return this.#armed
  }

  /** The faults that strike here and now. */
  strike<P extends Point>(point: P, url: string): At<P>[] {
    if (this.#armed.length === 0) return []
    const kinds: readonly string[] = faultKinds[point]
    const struck: At<P>[] = []
    for (const armed of this.#armed) {
      const { fault, options } = armed
      if (!kinds.includes(fault.kind) || !matches(options.url, url)) continue
      armed.seen++
      if (armed.seen % (options.every ?? 1) !== 0 || armed.struck >= (options.times ?? Infinity)) continue
      armed.struck++
      struck.push(fault as At<P>)
    }
    return struck
  }

  /** The same sequence of numbers in [0, 1) for the same seed. */
  random(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), this.#random | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function matches(wanted: FaultOptions['url'], url: string): boolean {
  if (wanted === undefined) return true
  return typeof wanted === 'string' ? url.includes(wanted) : wanted(url)
}
