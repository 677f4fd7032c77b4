import { beforeAll, describe, expect, it } from 'vitest'
import { defaultLimits } from '#src/domain/limit.ts'
import { bodyOf, entrance, json, password } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
/** Three tries from one network or on one device, six from everywhere together. */
const few = { ...defaultLimits, signInAccount: { ...defaultLimits.signInAccount, limit: 3 } }
let nowMs = Date.now()
let door: Entrance

beforeAll(async () => {
  door = await entrance({ limits: few, now: () => new Date(nowMs) })
})

const cookieOf = (answer: Response, name: string) =>
  answer.headers
    .getSetCookie()
    .find((cookie) => cookie.startsWith(`${name}=`))
    ?.split(';')[0] ?? ''
const attempt = (
  email: string,
  shown: string,
  headers: Record<string, string> = {},
  platform = door.from(),
) => door.send('/v1/sessions', json({ email, password: shown }, headers), platform)
type Given = { device: string }

describe('whoever guesses a password', () => {
  it('fails from hundreds of networks, waits, and does not keep the owner out', async () => {
    const [acme, globex] = await Promise.all([door.owner(), door.owner()])
    const signedIn = await attempt(acme.email, password)
    const { device } = await bodyOf<Given>(signedIn)
    const answers: number[] = []
    // Refused ones cost nothing: only the first six are compared with the password.
    for (let i = 0; i < 6; i++) answers.push((await attempt(acme.email, `guess ${i}`)).status)
    expect(new Set(answers)).toEqual(new Set([401]))
    expect((await attempt(acme.email, 'one more')).status).toBe(401)
    let refused = 0
    for (let round = 0; round < 10; round++) {
      const many = Array.from({ length: 32 }, (_, i) => attempt(acme.email, `again ${i}`))
      for (const answer of await Promise.all(many)) {
        if (answer.status === 429) refused++
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      }
    }
    expect(refused).toBe(320)

    const stranger = await attempt(acme.email, password)
    expect(stranger.status).toBe(429)
    expect((await bodyOf(stranger)).detail).toContain('ask for a link')
    const byHeader = await attempt(acme.email, password, { 'weir-device': device })
    expect(byHeader.status).toBe(201)
    const cookie = cookieOf(signedIn, '__Host-device')
    const sameSite = { cookie, 'sec-fetch-site': 'same-origin' }
    expect((await attempt(acme.email, password, sameSite)).status).toBe(201)
    expect((await attempt(globex.email, password)).status).toBe(201)
  })

  it('waits twice as long each time, up to a quarter of an hour', async () => {
    const acme = await door.owner()
    for (let i = 0; i < 6; i++) await attempt(acme.email, `guess ${i}`)
    const waits: number[] = []
    for (let i = 0; i < 13; i++) {
      expect((await attempt(acme.email, 'wrong again')).status).toBe(401)
      const refused = await attempt(acme.email, 'wrong again')
      expect(refused.status).toBe(429)
      const waitMs = Number(refused.headers.get('retry-after')) * 1000
      waits.push(waitMs)
      nowMs += waitMs
    }
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(Math.max(...waits)).toBe(900_000)
    expect((await attempt(acme.email, password)).status).toBe(201)
    // Somebody has come in: the account forgets.
    expect((await attempt(acme.email, 'wrong again')).status).toBe(401)
    expect((await attempt(acme.email, password)).status).toBe(201)
  })

  it('does not make others wait, whose request was overtaken or whose clock is behind', async () => {
    const acme = await door.owner()
    const startMs = nowMs
    for (const behindMs of [0, 1, 60_000]) {
      nowMs = startMs - behindMs
      expect((await attempt(acme.email, `guess ${behindMs}`)).status).toBe(401)
    }
    expect((await attempt(acme.email, password)).status).toBe(201)
    nowMs = startMs
  })

  it('gains nothing from a device of another account, a made-up one or an old one', async () => {
    const [acme, globex] = await Promise.all([door.owner(), door.owner()])
    const { device } = await bodyOf<Given>(await attempt(acme.email, password))
    for (let i = 0; i < 7; i++) await attempt(globex.email, `guess ${i}`)
    const changed = `${device.slice(0, -2)}${device.endsWith('AA') ? 'BB' : 'AA'}`
    for (const shown of [device, changed, 'x', `${'A'.repeat(16)}.1.AAAA`, 'x'.repeat(10_000)])
      expect((await attempt(globex.email, password, { 'weir-device': shown })).status).toBe(429)
    for (let i = 0; i < 7; i++) await attempt(acme.email, `guess ${i}`)
    expect((await attempt(acme.email, password, { 'weir-device': changed })).status).toBe(429)
    const later = nowMs
    nowMs += 181 * 24 * 60 * 60 * 1000
    expect(await door.services.devices.read(device, acme.email, new Date(nowMs))).toBeUndefined()
    nowMs = later
    expect(await door.services.devices.read(device, acme.email, new Date(nowMs))).toBeDefined()
    expect(await door.services.devices.read(device, globex.email, new Date(nowMs))).toBeUndefined()
  })

  it('has three tries on a device, whatever it was', async () => {
    const acme = await door.owner()
    const { device } = await bodyOf<Given>(await attempt(acme.email, password))
    const answers: number[] = []
    for (let i = 0; i < 4; i++)
      answers.push((await attempt(acme.email, `guess ${i}`, { 'weir-device': device })).status)
    expect(answers).toEqual([401, 401, 401, 429])
    // The owner's other devices, and new ones, do not hear of it.
    expect((await attempt(acme.email, password)).status).toBe(201)
  })
})
