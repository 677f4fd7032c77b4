import { expect, it } from 'vitest'
import { bytes, dollars, duration, rate, shortId } from '../../web/src/ui/figures.ts'

it.each([
  [0, '0 ms'],
  [-20, '0 ms'],
  [999, '999 ms'],
  [1_000, '1.0 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min 00 s'],
  [119_700, '2 min 00 s'],
  [245_000, '4 min 05 s'],
  [3_599_400, '59 min 59 s'],
  [3_599_900, '1 h 00 min'],
  [11_220_000, '3 h 07 min'],
])('writes %d ms as %s', (ms, words) => {
  expect(duration(ms)).toBe(words)
})

it('writes rates short and ids by their end', () => {
  expect([0, 950, 58_206, 1_036_000].map(rate)).toEqual(['0', '950', '58.2K', '1.04M'])
  expect(shortId('run_01m7yg9gshx8afq2m9xw57j013')).toBe('…xw57j013')
})

it('writes bytes by thousands, and money as far down as there is some', () => {
  expect([0, 999, 1_000, 1_234_567, 5e9, 7e18].map(bytes)).toEqual([
    '0 byte',
    '999 byte',
    '1 kB',
    '1.23 MB',
    '5 GB',
    '7,000 PB',
  ])
  const figures = ['0.000000', '0.000012', '0.004', '1234.5'].map((text) => dollars(text).replace(/^\D+/, ''))
  expect(figures).toEqual(['0.00', '0.000012', '0.004', '1,234.50'])
})
