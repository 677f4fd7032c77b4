import type { Alarm, Clock } from './clock.ts'
import { Gate } from './gate.ts'
import type { FlowControl, Pending } from './message.ts'

export type FlowPin = { parallelism?: number | undefined; rate?: number | undefined; periodMs: number }
export type FlowSetting = { isPaused: boolean; pin: FlowPin }

/** One flow-control key: so many at once, so many started in each period. */
export class FlowGate extends Gate {
  readonly key: string
  readonly #clock: Clock
  #asked: FlowPin = { periodMs: 1_000 }
  #pin: FlowPin = { periodMs: 1_000 }
  #isPaused = false
  #periodStart = 0
  #rateCount = 0
  #alarm: Alarm | undefined

  constructor(key: string, clock: Clock, next: (pending: Pending) => void) {
    super(Infinity, next)
    this.key = key
    this.#clock = clock
  }

  /** The newest message's values hold, unless others are pinned. */
  configure(flow: FlowControl): void {
    const { parallelism, rate, periodMs } = this.#asked
    if (parallelism === flow.parallelism && rate === flow.rate && periodMs === flow.periodMs) return
    this.#asked = { parallelism: flow.parallelism, rate: flow.rate, periodMs: flow.periodMs }
    this.#refresh()
  }

  set(setting: FlowSetting): void {
    this.#pin = setting.pin
    this.#isPaused = setting.isPaused
    this.#refresh()
  }

  get setting(): FlowSetting {
    return { isPaused: this.#isPaused, pin: this.#pin }
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  resetRate(): void {
    this.#periodStart = this.#clock.now()
    this.#rateCount = 0
    this.drain()
  }

  view(): Record<string, unknown> {
    this.#rollPeriod()
    return {
      flowControlKey: this.key,
      waitListSize: this.waitingCount,
      parallelismMax: Number.isFinite(this.limit) ? this.limit : 0,
      parallelismCount: this.active,
      rateMax: this.#rate ?? 0,
      rateCount: this.#rateCount,
      ratePeriod: this.#periodMs / 1_000,
      ratePeriodStart: Math.floor(this.#periodStart / 1_000),
      isPaused: this.#isPaused,
      isPinnedParallelism: this.#pin.parallelism !== undefined,
      isPinnedRate: this.#pin.rate !== undefined,
    }
  }

  get #rate(): number | undefined {
    return this.#pin.rate ?? this.#asked.rate
  }

  get #periodMs(): number {
    return this.#pin.rate === undefined ? this.#asked.periodMs : this.#pin.periodMs
  }

  #refresh(): void {
    this.limit = this.#pin.parallelism || this.#asked.parallelism || Infinity
    this.#alarm?.cancel()
    this.#alarm = undefined
    this.drain()
  }

  #rollPeriod(): void {
    const now = this.#clock.now()
    if (now < this.#periodStart + this.#periodMs) return
    this.#periodStart = now
    this.#rateCount = 0
  }

  protected override admits(): boolean {
    if (this.#isPaused) return false
    const rate = this.#rate
    if (!rate) return true
    this.#rollPeriod()
    if (this.#rateCount < rate) return true
    this.#alarm ??= this.#clock.at(
      this.#periodStart + this.#periodMs,
      () => {
        this.#alarm = undefined
        this.drain()
      },
      'delivery',
    )
    return false
  }

  protected override passed(): void {
    this.#rateCount++
  }
}
