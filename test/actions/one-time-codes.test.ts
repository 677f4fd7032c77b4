import { Secret } from 'otpauth'
import { describe, expect, it } from 'vitest'
import { newTotpSecret, stepOfCode } from '#src/actions/one-time-codes.ts'

/** The seed of RFC 6238, appendix B, for SHA-1. */
const seed = Secret.fromLatin1('12345678901234567890').base32

describe('one-time codes', () => {
  // The RFC prints eight digits; six are their end.
  it.each([
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ])('at %i are those of RFC 6238', async (seconds, eight) => {
    expect(await stepOfCode(seed, eight.slice(2), new Date(seconds * 1000))).toBe(Math.floor(seconds / 30))
  })

  it('are good one step early and one late, and name the step that they belong to', async () => {
    const step = Math.floor(1_111_111_109 / 30)
    const at = (steps: number) => new Date((step + steps) * 30_000)
    expect(await stepOfCode(seed, '081804', at(-1))).toBe(step)
    expect(await stepOfCode(seed, '081804', at(1))).toBe(step)
    expect(await stepOfCode(seed, '081804', at(-2))).toBeUndefined()
    expect(await stepOfCode(seed, '081804', at(2))).toBeUndefined()
  })

  it('come from 160 random bits that are written as apps read them', async () => {
    const { secret, uri } = await newTotpSecret('ada@example.com')
    expect(Secret.fromBase32(secret).bytes).toHaveLength(20)
    expect((await newTotpSecret('ada@example.com')).secret).not.toBe(secret)
    const url = new URL(uri)
    expect(decodeURIComponent(`${url.host}${url.pathname}`)).toBe('totp/Weir:ada@example.com')
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      secret,
      issuer: 'Weir',
      digits: '6',
      period: '30',
    })
  })
})
