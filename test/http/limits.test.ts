import { beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#src/domain/limit.ts'
import { bodyOf, entrance, json, unknownKey } from './entrance.ts'

const few = {
  ...defaultLimits,
  user: { ...defaultLimits.user, limit: 5 },
  apiKey: { ...defaultLimits.apiKey, limit: 8 },
  signInAddress: { ...defaultLimits.signInAddress, limit: 3 },
  signInAccount: { ...defaultLimits.signInAccount, limit: 3 },
}
/** One moment for a whole test, so that no window ends in the middle of it. */
const at = new Date()
let door: Awaited<ReturnType<typeof entrance>>

beforeAll(async () => {
  door = await entrance({ limits: few, now: () => at })
})

const statuses = async (answers: Promise<Response>[]) =>
  (await Promise.all(answers)).map(({ status }) => status)

describe('limits', () => {
  it('tell on every answer how many are left, and refuse the one too many', async () => {
    const acme = await door.owner()
    const left: string[] = []
    for (let i = 0; i < 5; i++) {
      const answer = await acme.fetch('/v1/me')
      expect(answer.status).toBe(200)
      expect(answer.headers.get('ratelimit-policy')).toBe('"user";q=5;w=60')
      left.push(answer.headers.get('ratelimit') ?? '')
    }
    expect(left.map((field) => /^"user";r=(\d);t=\d+$/.exec(field)?.[1])).toEqual(['4', '3', '2', '1', '0'])
    const refused = await acme.fetch('/v1/me')
    const problem = await bodyOf(refused)
    expect(refused.status).toBe(429)
    expect(problem).toMatchObject({
      code: 'limited',
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      'violated-policies': ['user'],
    })
    const reset = Number(/t=(\d+)/.exec(refused.headers.get('ratelimit') ?? '')?.[1])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(reset)
  })

  it('never share a bucket between tenants, nor between a person and a key', async () => {
    const [acme, globex] = await Promise.all([door.owner(), door.owner()])
    const key = await acme.key()
    for (let i = 0; i < 6; i++) await acme.fetch('/v1/me')
    expect((await acme.fetch('/v1/me')).status).toBe(429)
    expect((await globex.fetch('/v1/me')).status).toBe(200)
    expect((await key.fetch('/v1/me')).status).toBe(200)
  })

  it('hold when 64 come at once', async () => {
    const acme = await door.owner()
    const key = await acme.key()
    const answers = await statuses(Array.from({ length: 64 }, () => key.fetch('/v1/me')))
    expect(answers.filter((status) => status === 200)).toHaveLength(8)
    expect(answers.filter((status) => status === 429)).toHaveLength(56)
  })

  it('end with their window', async () => {
    const acme = await door.owner()
    for (let i = 0; i < 6; i++) await acme.fetch('/v1/me')
    const later = await entrance({ limits: few, now: () => new Date(at.getTime() + 2 * 60_000) })
    const headers = { authorization: `Bearer ${acme.accessToken}` }
    expect((await later.send('/v1/me', { headers })).status).toBe(200)
  })

  it('count those without a good credential by address: thirty a minute', async () => {
    const platform = door.from()
    const tries = Array.from({ length: 40 }, (_, i) => {
      const headers: Record<string, string> = i % 2 ? { authorization: `Bearer ${unknownKey()}` } : {}
      return door.send('/v1/me', { headers }, platform)
    })
    const answers = await statuses(tries)
    expect(answers.filter((status) => status === 401)).toHaveLength(30)
    expect(answers.filter((status) => status === 429)).toHaveLength(10)
    expect((await door.send('/v1/me')).status).toBe(401)
  })

  it('believe the platform about addresses, never a header', async () => {
    const platform = door.from()
    const spoofed = (i: number) => ({
      headers: {
        'x-forwarded-for': `192.0.2.${i}`,
        'cf-connecting-ip': `192.0.2.${i}`,
        forwarded: `for=192.0.2.${i}`,
      },
    })
    const answers = await statuses(
      Array.from({ length: 31 }, (_, i) => door.send('/v1/me', spoofed(i), platform)),
    )
    expect(answers.filter((status) => status === 429)).toHaveLength(1)
  })

  it('take an IPv6 network of 64 bits for one address, however it is written', async () => {
    const network = crypto.randomUUID().slice(0, 4)
    const addresses = [
      `2001:db8:${network}:1::1`,
      `2001:0db8:${network}:0001:ffff::2`,
      `2001:DB8:${network}:1:0:0:0:3`,
    ]
    const answers = await statuses(
      Array.from({ length: 33 }, (_, i) => door.send('/v1/me', {}, { address: addresses[i % 3] ?? '' })),
    )
    expect(answers.filter((status) => status === 429)).toHaveLength(3)
  })

  it('let one account be tried only so often, from one network and from all together', async () => {
    const acme = await door.owner()
    const wrong = json({ email: acme.email.toUpperCase(), password: 'wrong password' })
    const wide = { ...few, signInAddress: { ...few.signInAddress, limit: 100 } }
    const office = await entrance({ limits: wide, now: () => at })
    const platform = office.from()
    const answers: number[] = []
    for (let i = 0; i < 4; i++) answers.push((await office.send('/v1/sessions', wrong, platform)).status)
    expect(answers).toEqual([401, 401, 401, 429])
    for (let i = 0; i < 5; i++) answers.push((await door.send('/v1/sessions', wrong)).status)
    expect(answers.slice(4)).toEqual([401, 401, 401, 401, 429])
  })

  it('let one address try only so many accounts', async () => {
    const platform = door.from()
    const answers: number[] = []
    for (let i = 0; i < 4; i++) {
      const body = json({ email: `nobody-${crypto.randomUUID()}@example.com`, password: 'wrong password' })
      answers.push((await door.send('/v1/sessions', body, platform)).status)
    }
    expect(answers).toEqual([401, 401, 401, 429])
    expect(door.requestLine()).toMatchObject({ status: 429, reason: 'limited' })
  })

  it('are by default what the API promises', () => {
    const promised = Object.values(defaultLimits).map(({ name, limit, windowMs }) => [
      name,
      limit,
      windowMs / 60_000,
    ])
    expect(promised).toEqual([
      ['user', 100, 1],
      ['api-key', 1000, 1],
      ['tenant', 1_000_000, 1],
      ['address', 30, 1],
      ['sign-in-address', 10, 15],
      ['sign-in-account', 10, 15],
      ['refresh-address', 2000, 1],
      ['factor', 5, 5],
    ])
  })
})
