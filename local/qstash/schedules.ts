import { Cron } from 'croner'

import type { Alarm, Clock } from './clock.ts'
import { badRequest, notFound } from './failure.ts'
import type { Journal } from './journal.ts'
import type { Spec } from './message.ts'
import type { Publish, Published } from './publisher.ts'

export type Schedule = {
  scheduleId: string
  cron: string
  destination: string
  spec: Spec
  body: Buffer
  callerIp: string
  createdAt: number
  isPaused: boolean
  lastScheduleTime?: number | undefined
}
type Outcome = 'IN_PROGRESS' | 'SUCCESS' | 'FAIL'
type Entry = {
  schedule: Schedule
  cron: Cron
  alarm: Alarm | undefined
  nextScheduleTime: number | undefined
  lastStates: Map<string, Outcome>
}
type Stored = Omit<Schedule, 'body'> & { body: string }
type Publisher = { publish(publish: Publish): Published[] }

/** Publishes by the clock. What would have been due while the server was down is not made up for. */
export class Schedules {
  readonly #entries = new Map<string, Entry>()
  readonly #byMessage = new Map<string, Entry>()
  readonly #clock: Clock
  readonly #journal: Journal
  readonly #publisher: Publisher

  constructor(clock: Clock, journal: Journal, publisher: Publisher) {
    this.#clock = clock
    this.#journal = journal
    this.#publisher = publisher
    for (const [, stored] of journal.read<Stored>('schedule'))
      this.#enter({ ...stored, body: Buffer.from(stored.body, 'base64') })
    journal.keep('schedule', () => [...this.#entries].map(([id, { schedule }]) => [id, store(schedule)]))
  }

  /** Makes a schedule, or replaces the one with the same id. */
  put(schedule: Schedule): void {
    const known = this.#entries.get(schedule.scheduleId)
    known?.alarm?.cancel()
    const createdAt = known?.schedule.createdAt ?? schedule.createdAt
    this.#enter({ ...schedule, createdAt })
    this.#journal.put('schedule', schedule.scheduleId, store(schedule))
  }

  get(scheduleId: string): Entry {
    const entry = this.#entries.get(scheduleId)
    if (!entry) throw notFound(`schedule ${scheduleId} not found`)
    return entry
  }

  list(): Entry[] {
    return [...this.#entries.values()]
  }

  remove(scheduleId: string): void {
    this.get(scheduleId).alarm?.cancel()
    this.#entries.delete(scheduleId)
    this.#journal.delete('schedule', scheduleId)
  }

  setPaused(scheduleId: string, isPaused: boolean): void {
    const entry = this.get(scheduleId)
    entry.schedule.isPaused = isPaused
    this.#journal.put('schedule', scheduleId, store(entry.schedule))
    this.#plan(entry)
  }

  /** A message ended; if it is the newest of a schedule, the schedule shows how. */
  noteFinish(messageId: string, outcome: Outcome): void {
    const entry = this.#byMessage.get(messageId)
    this.#byMessage.delete(messageId)
    if (entry?.lastStates.has(messageId)) entry.lastStates.set(messageId, outcome)
  }

  #enter(schedule: Schedule): void {
    const cron = parseCron(schedule.cron)
    const entry = { schedule, cron, alarm: undefined, nextScheduleTime: undefined, lastStates: new Map() }
    this.#entries.set(schedule.scheduleId, entry)
    this.#plan(entry)
  }

  #plan(entry: Entry): void {
    entry.alarm?.cancel()
    entry.alarm = undefined
    const next = entry.cron.nextRun(new Date(this.#clock.now()))?.getTime()
    entry.nextScheduleTime = entry.schedule.isPaused ? undefined : next
    if (entry.nextScheduleTime !== undefined)
      entry.alarm = this.#clock.at(entry.nextScheduleTime, () => this.#fire(entry))
  }

  #fire(entry: Entry): void {
    const { schedule } = entry
    const { destination, spec, body, callerIp, scheduleId } = schedule
    schedule.lastScheduleTime = this.#clock.now()
    entry.lastStates = new Map()
    try {
      for (const { messageId } of this.#publisher.publish({
        destination,
        spec,
        body,
        callerIp,
        scheduleId,
      })) {
        entry.lastStates.set(messageId, 'IN_PROGRESS')
        this.#byMessage.set(messageId, entry)
      }
    } catch {
      // Its URL group is gone; the schedule stays, as at QStash, and fires into nothing.
    }
    this.#plan(entry)
  }
}

/** Five fields, in UTC unless `CRON_TZ=Area/City` comes first. */
export function parseCron(text: string): Cron {
  const [, zone, pattern = ''] = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/.exec(text.trim()) ?? []
  try {
    const cron = new Cron(pattern, { timezone: zone ?? 'UTC', mode: '5-part' })
    cron.nextRun()
    return cron
  } catch {
    throw badRequest(`invalid cron expression "${text}"`)
  }
}

const store = (schedule: Schedule): Stored => ({ ...schedule, body: schedule.body.toString('base64') })
