import type { Clock } from './clock.ts'
import { FlowGate, type FlowSetting } from './flow-gate.ts'
import type { Journal } from './journal.ts'
import type { Pending } from './message.ts'

/** Every flow-control key that was seen. Pauses and pins survive a restart; the rest comes with the messages. */
export class FlowGates {
  readonly #gates = new Map<string, FlowGate>()
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #next: (pending: Pending) => void

  constructor(clock: Clock, journal: Journal, next: (pending: Pending) => void) {
    this.#clock = clock
    this.#journal = journal
    this.#next = next
    for (const [key, setting] of journal.read<FlowSetting>('flow')) this.get(key).set(setting)
    journal.keep('flow', () =>
      [...this.#gates].filter(([, gate]) => isSet(gate.setting)).map(([key, gate]) => [key, gate.setting]),
    )
  }

  get(key: string): FlowGate {
    let gate = this.#gates.get(key)
    if (!gate) this.#gates.set(key, (gate = new FlowGate(key, this.#clock, this.#next)))
    return gate
  }

  find(key: string): FlowGate | undefined {
    return this.#gates.get(key)
  }

  list(): FlowGate[] {
    return [...this.#gates.values()]
  }

  set(key: string, change: Partial<FlowSetting>): void {
    const gate = this.get(key)
    const setting = { ...gate.setting, ...change }
    gate.set(setting)
    if (isSet(setting)) this.#journal.put('flow', key, setting)
    else this.#journal.delete('flow', key)
  }

  pausedCount(): number {
    let count = 0
    for (const gate of this.#gates.values()) if (gate.isPaused) count += gate.waitingCount
    return count
  }

  waitingCount(): number {
    let count = 0
    for (const gate of this.#gates.values()) count += gate.waitingCount
    return count
  }
}

const isSet = ({ isPaused, pin }: FlowSetting): boolean =>
  isPaused || pin.parallelism !== undefined || pin.rate !== undefined
