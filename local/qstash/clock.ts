type Entry = { at: number; order: number; run: () => void; isCancelled: boolean; isDelivery: boolean }
export type Alarm = { cancel(): void }

const longestTimerMs = 2_000_000_000

/**
 * Everything that waits for a time: one heap and one timer. The time can be moved ahead for tests; whatever falls due
 * on the way then runs in its order and at its own time.
 */
export class Clock {
  readonly #heap: Entry[] = []
  #offsetMs = 0
  #order = 0
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  /** While `advance` runs what is due, the time that it is due at. */
  #steppedTo: number | undefined

  now(): number {
    return this.#steppedTo ?? Date.now() + this.#offsetMs
  }

  /** Runs at a time; a delivery also keeps the server from being idle shortly before. */
  at(time: number, run: () => void, kind: 'delivery' | 'other' = 'other'): Alarm {
    const entry = { at: time, order: this.#order++, run, isCancelled: false, isDelivery: kind === 'delivery' }
    this.#push(entry)
    if (time < this.#timerAt) this.#arm()
    return {
      cancel: () => {
        entry.isCancelled = true
      },
    }
  }

  /** Moves the time ahead and says how many things fell due. */
  advance(ms: number): number {
    const target = this.now() + ms
    let ran = 0
    for (let next = this.#heap[0]; next && next.at <= target; next = this.#heap[0]) {
      this.#pop()
      if (next.isCancelled) continue
      this.#steppedTo = Math.max(next.at, this.now())
      next.run()
      ran++
    }
    this.#steppedTo = undefined
    this.#offsetMs = Math.max(this.#offsetMs, target - Date.now())
    this.#arm()
    return ran
  }

  /** When the next delivery is due; only asked when nothing else is going on, so it may look at all. */
  nextDeliveryAt(): number {
    let earliest = Infinity
    for (const entry of this.#heap)
      if (entry.isDelivery && !entry.isCancelled && entry.at < earliest) earliest = entry.at
    return earliest
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#heap.length = 0
    this.#timerAt = Infinity
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const next = this.#heap[0]
    this.#timerAt = next?.at ?? Infinity
    if (!next) return
    const waitMs = Math.min(longestTimerMs, Math.max(0, Math.ceil(next.at - this.now())))
    this.#timer = setTimeout(() => this.#runDue(), waitMs)
    this.#timer.unref()
  }

  #runDue(): void {
    this.#timerAt = -Infinity
    const now = this.now()
    for (let next = this.#heap[0]; next && next.at <= now; next = this.#heap[0]) {
      this.#pop()
      if (!next.isCancelled) next.run()
    }
    this.#arm()
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (!parent || isBefore(parent, entry)) break
      heap[at] = parent
      at = above
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      let smallest = heap[child]
      const right = heap[child + 1]
      if (smallest && right && isBefore(right, smallest)) {
        smallest = right
        child++
      }
      if (!smallest || isBefore(last, smallest)) break
      heap[at] = smallest
      at = child
    }
    heap[at] = last
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
