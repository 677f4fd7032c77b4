import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { calendarDays } from '#src/domain/calendar.ts'
import { jitterOf, nextTime, planFire, previousTime, type Times } from '#src/domain/schedule.ts'
import { wallOf } from '#src/domain/wall-clock.ts'

/** The times of a schedule between two moments, in UTC. */
function between(times: Times, from: string, to: string): string[] {
  const found: string[] = []
  for (let at = nextTime(times, new Date(from)); at && at < new Date(to); at = nextTime(times, at))
    found.push(at.toISOString().replace(':00.000Z', 'Z'))
  return found
}

describe('a time that the change of clocks skips', () => {
  it.each([
    ['Europe/Berlin', '30 2 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00Z', '2026-03-30T00:30Z']],
    [
      'Europe/Berlin',
      '0,30 2 * * *',
      '2026-03-28T12:00Z',
      ['2026-03-29T01:00Z', '2026-03-30T00:00Z', '2026-03-30T00:30Z'],
    ],
    ['Europe/Berlin', '0 3 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00Z', '2026-03-30T01:00Z']],
    ['America/New_York', '30 2 * * *', '2026-03-07T12:00Z', ['2026-03-08T07:00Z', '2026-03-09T06:30Z']],
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T00:00Z', ['2026-10-03T15:30Z', '2026-10-04T15:15Z']],
    ['America/Sao_Paulo', '0 0 * * *', '2018-11-03T12:00Z', ['2018-11-04T03:00Z', '2018-11-05T02:00Z']],
    ['Africa/Cairo', '30 0 * * *', '2026-04-23T12:00Z', ['2026-04-23T22:00Z', '2026-04-24T21:30Z']],
  ])('in %s, %s, is made up for once, right after it', (timezone, cron, from, expected) => {
    const to = new Date(new Date(from).getTime() + 72 * 3_600_000).toISOString()
    expect(between({ cron, timezone }, from, to).slice(0, expected.length)).toEqual(expected)
  })
})

describe('a time that comes twice', () => {
  it.each([
    ['Europe/Berlin', '30 2 * * *', '2026-10-24T12:00Z', ['2026-10-25T00:30Z', '2026-10-26T01:30Z']],
    [
      'Europe/Berlin',
      '0,30 2 * * *',
      '2026-10-24T12:00Z',
      ['2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-26T01:00Z', '2026-10-26T01:30Z'],
    ],
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00Z', ['2026-11-01T05:30Z', '2026-11-02T06:30Z']],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T00:00Z', ['2026-04-04T14:45Z', '2026-04-05T15:15Z']],
  ])('in %s, %s, counts the first time', (timezone, cron, from, expected) => {
    const to = new Date(new Date(from).getTime() + 44 * 3_600_000).toISOString()
    expect(between({ cron, timezone }, from, to)).toEqual(expected)
  })
})

describe('a schedule of every hour', () => {
  it.each([
    ['Europe/Berlin', '30 * * * *', '2026-03-29T00:00Z', '2026-03-29T03:00Z', 3],
    ['Europe/Berlin', '30 * * * *', '2026-10-24T23:00Z', '2026-10-25T03:00Z', 4],
    ['America/New_York', '*/20 * * * *', '2026-11-01T04:50Z', '2026-11-01T07:50Z', 9],
    ['Australia/Lord_Howe', '*/15 * * * *', '2026-04-04T14:10Z', '2026-04-04T16:10Z', 8],
    ['Australia/Lord_Howe', '*/15 * * * *', '2026-10-03T14:50Z', '2026-10-03T16:50Z', 8],
  ])('goes by the time that passes: %s, %s, from %s to %s has %i', (timezone, cron, from, to, count) => {
    const times = between({ cron, timezone }, from, to).map((at) => Date.parse(at))
    expect(times).toHaveLength(count)
    expect(new Set(times.slice(1).map((at, i) => at - (times[i] ?? 0))).size).toBe(1)
  })
})

const anyTimes = fc.record({
  cron: fc
    .tuple(
      fc.constantFrom('0', '30', '*/20', '5,35'),
      fc.constantFrom('*', '2', '1-3', '*/2', '0,12', '23'),
      fc.constantFrom('*', '1', '*/2'),
      fc.constantFrom('*', '1-5', '0'),
    )
    .map(([minute, hour, day, weekday]) => `${minute} ${hour} ${day} * ${weekday}`),
  timezone: fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kathmandu',
    'Africa/Cairo',
  ),
})
const anyMoment = fc
  .integer({ min: Date.UTC(2025, 0, 1) / 1000, max: Date.UTC(2027, 0, 1) / 1000 })
  .map((seconds) => new Date(seconds * 1000))

describe('the times of a schedule', () => {
  it('are the same looking back as looking ahead', () => {
    fc.assert(
      fc.property(anyTimes, anyMoment, (times, moment) => {
        const next = nextTime(times, moment)
        const previous = previousTime(times, moment)
        if (!next || !previous) throw new Error('it always fires again')
        expect(previous < moment && moment < next).toBe(true)
        expect([next, moment]).toContainEqual(nextTime(times, previous))
        expect(previousTime(times, new Date(next.getTime() + 1))).toEqual(next)
      }),
      { numRuns: 300 },
    )
  })

  it('are on the days of the calendar alone', () => {
    const days = calendarDays.parse({ exclude: ['12-25', '2026-05-01'], include: ['2026-05-02'] })
    const times = { cron: '0 0,12 * * *', timezone: 'Europe/Berlin', days }
    expect(between(times, '2026-04-30T00:00Z', '2026-05-04T12:00Z')).toEqual([
      '2026-04-30T10:00Z',
      '2026-05-01T22:00Z',
      '2026-05-02T10:00Z',
      '2026-05-03T22:00Z',
      '2026-05-04T10:00Z',
    ])
    const shown = (at: Date | undefined) => at && wallOf('Europe/Berlin', at).toISOString().slice(0, 16)
    expect(shown(nextTime(times, new Date('2026-12-24T12:00Z')))).toBe('2026-12-28T00:00')
    expect(shown(previousTime(times, new Date('2026-12-27T12:00Z')))).toBe('2026-12-24T12:00')
    const never = { cron: '* * * * *', timezone: 'UTC', days: calendarDays.parse({ weekdays: [] }) }
    expect(nextTime(never, new Date())).toBeUndefined()
    expect(previousTime(never, new Date())).toBeUndefined()
  })
})

describe('catching up', () => {
  const schedule = { cron: '*/10 * * * *', timezone: 'UTC', jitterMs: 0 }
  const plan = (catchUp: 'all' | 'last' | 'none', due: string, now: string) => {
    const { times, next } = planFire({ ...schedule, catchUp }, new Date(due), new Date(now))
    return [times.map((at) => at.toISOString().slice(11, 16)), next?.toISOString().slice(11, 16)]
  }

  it('has nothing to do before or right after a time', () => {
    for (const rule of ['all', 'last', 'none'] as const) {
      expect(plan(rule, '2026-01-01T10:00Z', '2026-01-01T09:59Z')).toEqual([['10:00'], '10:10'])
      expect(plan(rule, '2026-01-01T10:00Z', '2026-01-01T10:02Z')).toEqual([['10:00'], '10:10'])
    }
  })

  it('does what its rule says after a while without firing', () => {
    const [due, now] = ['2026-01-01T10:00Z', '2026-01-01T10:35Z']
    expect(plan('all', due, now)).toEqual([['10:00', '10:10', '10:20', '10:30'], '10:40'])
    expect(plan('last', due, now)).toEqual([['10:30'], '10:40'])
    expect(plan('none', due, now)).toEqual([[], '10:40'])
    expect(plan('none', due, '2026-01-01T10:31Z')).toEqual([['10:30'], '10:40'])
  })

  it('goes back a thousand times at most, a hundred at once', () => {
    const { times, next } = planFire(
      { ...schedule, catchUp: 'all' },
      new Date('2020-01-01T00:00Z'),
      new Date('2026-01-01T00:05Z'),
    )
    expect(times).toHaveLength(100)
    expect(times[0]).toEqual(new Date(Date.UTC(2026, 0, 1) - 999 * 600_000))
    expect(next).toEqual(new Date(Date.UTC(2026, 0, 1) - 899 * 600_000))
  })
})

describe('jitter', () => {
  it('is the same for the same schedule and time, and spread over what is allowed', () => {
    const at = (i: number) => new Date(Date.UTC(2026, 0, 1, 0, i))
    const all = Array.from({ length: 2_000 }, (_, i) =>
      jitterOf(`sch_${i % 40}`, at(Math.floor(i / 40)), 60_000),
    )
    expect(jitterOf('sch_7', at(0), 60_000)).toBe(all[7])
    expect(jitterOf('sch_7', at(0), 0)).toBe(0)
    const tenths = Array.from(
      { length: 10 },
      (_, n) => all.filter((ms) => Math.floor(ms / 6_000) === n).length,
    )
    for (const count of tenths) expect(count).toBeGreaterThan(140)
    expect(Math.max(...all)).toBeLessThan(60_000)
  })
})
