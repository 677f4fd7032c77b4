import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDuration } from '#src/domain/duration.ts'
import { jsonFault } from '#src/domain/json-fault.ts'
import { resolveParameters } from '#src/domain/parameters.ts'
import { retryDelayMs } from '#src/domain/retry.ts'
import { nextTime, scheduleProblem } from '#src/domain/schedule.ts'
import { nearest } from '#src/domain/spelling.ts'

describe('a duration', () => {
  it.each([
    ['0s', 0],
    ['250ms', 250],
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1d12h', 129_600_000],
    ['366d', 31_622_400_000],
  ])('%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it.each(['', '10', 's', '1.5h', '-1s', '1 h', '1h ', '1w', '367d', '99999999999999999999d'])(
    '%j is none',
    (text) => expect(parseDuration(text)).toBeUndefined(),
  )
})

describe('a retry', () => {
  const policy = {
    attempts: 5,
    backoff: 'exponential' as const,
    firstMs: 1_000,
    maxMs: 60_000,
    jitter: false,
  }

  it('waits twice as long each time, and never longer than the policy says', () => {
    expect([1, 2, 3, 6, 7, 50].map((attempt) => retryDelayMs(policy, attempt, 0))).toEqual([
      1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
    ])
    expect([1, 2, 3].map((attempt) => retryDelayMs({ ...policy, backoff: 'linear' }, attempt, 0))).toEqual([
      1_000, 2_000, 3_000,
    ])
    expect([1, 9].map((attempt) => retryDelayMs({ ...policy, backoff: 'constant' }, attempt, 0))).toEqual([
      1_000, 1_000,
    ])
  })

  it('with jitter waits between half of that and all of it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, random) => {
          const full = retryDelayMs(policy, attempt, 0)
          const delay = retryDelayMs({ ...policy, jitter: true }, attempt, random)
          expect(delay).toBeGreaterThanOrEqual(full / 2)
          expect(delay).toBeLessThanOrEqual(full)
        },
      ),
    )
  })
})

describe('a schedule', () => {
  const fire = (cron: string, zone: string, after: string) =>
    nextTime({ cron, timezone: zone }, new Date(after))?.toISOString() ?? 'never'

  it('fires in its own time zone, through both changes of clocks', () => {
    expect(fire('15 6 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z')).toBe('2026-03-28T05:15:00.000Z')
    expect(fire('15 6 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z')).toBe('2026-03-29T04:15:00.000Z')
    expect(fire('15 6 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z')).toBe('2026-10-25T05:15:00.000Z')
  })

  it('does not lose a time that the clocks skip', () => {
    const skipped = fire('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z')
    expect(skipped.startsWith('2026-03-29')).toBe(true)
  })

  it('fires an hour that comes twice once', () => {
    const first = fire('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z')
    expect(fire('30 2 * * *', 'Europe/Berlin', first)).toBe('2026-10-26T01:30:00.000Z')
  })

  it('says why it is none', () => {
    expect(scheduleProblem('* * * * *', 'UTC')).toBeUndefined()
    expect(scheduleProblem('* * * * * *', 'UTC')).toMatch(/five fields/)
    expect(scheduleProblem('61 * * * *', 'UTC')).toMatch(/cron/)
    expect(scheduleProblem('0 0 30 2 *', 'UTC')).toMatch(/ever fires/)
    expect(scheduleProblem('* * * * *', 'Nowhere')).toMatch(/time zone/)
  })
})

describe('parameters', () => {
  const definition = {
    parameters: {
      since: { type: 'date' as const, default: '2001-01-01' },
      most: { type: 'integer' as const },
      share: { type: 'number' as const, default: 0.5 },
    },
  }

  it('have their defaults, and what was given', () => {
    expect(resolveParameters(definition, { most: 3 })).toEqual({
      ok: true,
      parameters: { since: '2001-01-01', most: 3, share: 0.5 },
    })
  })

  it.each([
    [{}, 'parameters.most', /must be given/],
    [{ most: 1.5 }, 'parameters.most', /whole number/],
    [{ most: '3' }, 'parameters.most', /whole number/],
    [{ most: 1, since: '2001-02-30' }, 'parameters.since', /date/],
    [{ most: 1, sinse: '2001-02-03' }, 'parameters.sinse', /did you mean "since"/],
    [{ most: 1, share: Number.NaN }, 'parameters.share', /number/],
    [{ most: 1, constructor: 1 }, 'parameters.constructor', /no such/],
  ])('refuses %j', (given, path, message) => {
    expect(resolveParameters(definition, given)).toMatchObject({
      ok: false,
      fields: [{ path, message: expect.stringMatching(message) }],
    })
  })
})

it('finds the word that was meant, and none where none is near', () => {
  expect(nearest('colum', ['column', 'rule'])).toBe('column')
  expect(nearest('orgin', ['destination', 'origin'])).toBe('origin')
  expect(nearest('zzz', ['column', 'rule'])).toBeUndefined()
})

describe('a fault in JSON', () => {
  const isJson = (text: string) => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }

  it('is found exactly where JSON.parse finds one', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"\\n"',
      '"\\x"',
      '"',
      '1',
      '-0.5e3',
      '01',
      '+1',
      '1.',
      'true',
      'nul',
      ' ',
      '\n',
      "'a'",
      '\\',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces, { maxLength: 12 }).map((all) => all.join('')),
          fc.json(),
          fc.string(),
        ),
        (text) => {
          expect(jsonFault(text) === undefined).toBe(isJson(text))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('is the first place that nothing could mend', () => {
    expect(jsonFault('{"a": 1,}')).toEqual({ offset: 8, expected: 'a key in double quotes' })
    expect(jsonFault('[1 2]')).toEqual({ offset: 3, expected: 'a comma or ]' })
    expect(jsonFault('{} x')).toEqual({ offset: 3, expected: 'nothing more' })
    expect(jsonFault(`["${'x'.repeat(1_000_000)}`)?.offset).toBe(1)
  })
})
