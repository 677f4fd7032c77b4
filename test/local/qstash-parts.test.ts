import { describe, expect, it } from 'vitest'

import { Clock } from '#local/qstash/clock.ts'
import { askedToWaitMs, backoffMs, readDuration } from '#local/qstash/delays.ts'
import { parseDelayExpression } from '#local/qstash/expression.ts'
import { Fifo } from '#local/qstash/fifo.ts'
import { hashBody, signClaims } from '#local/qstash/signature.ts'

describe('the signature', () => {
  it('is the one that the official Receiver was shown to accept', () => {
    const claims = {
      iss: 'Upstash',
      sub: 'https://example.com/api/jobs/callback',
      exp: 4102444800,
      nbf: 0,
      iat: 1700000000,
      jti: 'jwt_test1',
      body: hashBody(Buffer.from('{"hello":"world"}')),
    } as const
    expect(signClaims(claims, 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r')).toBe(
      'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJVcHN0YXNoIiwic3ViIjoiaHR0cHM6Ly9leGFtcGxlLmNvbS9hcGkvam9icy9jYWxsYmFjayIsImV4cCI6NDEwMjQ0NDgwMCwibmJmIjowLCJpYXQiOjE3MDAwMDAwMDAsImp0aSI6Imp3dF90ZXN0MSIsImJvZHkiOiJrNkk1Y2FrVTVlckw4S2pTVVZUTm93bkR3Y2N2dTVrVTFIeGc4OHRvRllnPSJ9.Yf56wgCUJq3zzIwPNb8MEzHCPG1AbzQw9bsnHIMm7sQ',
    )
  })
})

describe('a retry delay expression', () => {
  it.each([
    ['1000', 2, 1000],
    ['1000 * (1 + retried)', 2, 3000],
    ['pow(2, retried) * 10', 3, 80],
    ['min(86400000, max(5, retried * 7 % 4))', 3, 5],
    ['-3 + 10 / 4 - -1', 0, 0.5],
    ['floor(exp(0)) + round(1.5) + ceil(0.2) + sqrt(abs(-9))', 0, 7],
    ['2 - 1 - 1', 0, 0],
    ['100 / 10 / 2', 0, 5],
  ])('%s with retried = %d gives %d', (text, retried, value) => {
    expect(parseDelayExpression(text)(retried)).toBeCloseTo(value)
  })

  it.each([
    '',
    '1 +',
    'process.exit()',
    'constructor(1)',
    'pow(2)',
    '(1',
    '1 2',
    'retried()',
    '1;2',
    'foo',
    '1e3x',
  ])('refuses %j', (text) => {
    expect(() => parseDelayExpression(text)).toThrow(SyntaxError)
  })

  it('never gives a negative or endless wait', () => {
    expect(backoffMs(0, '0 - 5')).toBe(0)
    expect(backoffMs(0, '1 / 0')).toBe(86_400_000)
  })
})

describe('delays', () => {
  it('are 12 s, 2 min 28 s, 30 min 8 s, 6 h 7 min 6 s and a day by default', () => {
    const waits = [0, 1, 2, 3, 4].map((retried) => backoffMs(retried, undefined) / 1_000)
    expect(waits).toEqual([12, 148, 1_808, 22_026, 86_400])
  })

  it('are read in units or in seconds', () => {
    expect(['1d10h30m', '50s', '90', '2h', 'x', '5 s', '1w', ''].map(readDuration)).toEqual([
      124_200_000,
      50_000,
      90_000,
      7_200_000,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('that a destination asks for come in seconds, as a date or as a duration, and end at a day', () => {
    const now = Date.parse('2026-01-01T00:00:00Z')
    expect(askedToWaitMs({ 'retry-after': '7' }, now)).toBe(7_000)
    expect(askedToWaitMs({ 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }, now)).toBe(60_000)
    expect(askedToWaitMs({ 'x-ratelimit-reset-tokens': '6m5s' }, now)).toBe(365_000)
    expect(askedToWaitMs({ 'retry-after': '999999999' }, now)).toBe(86_400_000)
    expect(askedToWaitMs({}, now)).toBeUndefined()
  })
})

describe('the clock', () => {
  it('runs what falls due in its order and at its own time', () => {
    const clock = new Clock()
    const start = clock.now()
    const seen: [string, number][] = []
    const note = (name: string) => () => seen.push([name, Math.round(clock.now() - start)])
    for (const at of [50, 10, 40, 20, 30]) clock.at(start + at * 1_000, note(`at ${at}`))
    clock.at(start + 20_000, note('second at 20'))
    clock.at(start + 25_000, note('cancelled')).cancel()
    clock.at(start + 10_000, () => clock.at(start + 15_000, note('added on the way')))
    expect(clock.advance(45_000)).toBe(7)
    expect(seen.map(([name]) => name)).toEqual([
      'at 10',
      'added on the way',
      'at 20',
      'second at 20',
      'at 30',
      'at 40',
    ])
    for (const [name, at] of seen) if (name.startsWith('at')) expect(at).toBe(Number(name.slice(3)) * 1_000)
    expect(clock.now() - start).toBeGreaterThanOrEqual(45_000)
    clock.stop()
  })

  it('keeps ten thousand alarms in order', () => {
    const clock = new Clock()
    const start = clock.now()
    const times = Array.from({ length: 10_000 }, (_, index) => (index * 7_919) % 10_007)
    const seen: number[] = []
    for (const time of times) clock.at(start + 60_000 + time, () => seen.push(time))
    clock.advance(120_000)
    expect(seen).toEqual(times.toSorted((a, b) => a - b))
    clock.stop()
  })
})

it('a queue gives back everything in order through many turns', () => {
  const fifo = new Fifo<number>()
  const seen: number[] = []
  for (let index = 0; index < 5_000; index++) {
    fifo.push(index)
    if (index % 3 === 0) seen.push(fifo.shift() ?? -1)
  }
  while (fifo.size > 0) seen.push(fifo.shift() ?? -1)
  expect(seen).toEqual(Array.from({ length: 5_000 }, (_, index) => index))
  expect(fifo.shift()).toBeUndefined()
})
