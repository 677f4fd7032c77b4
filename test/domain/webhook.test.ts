import { describe, expect, it } from 'vitest'
import { eventProblem, isSignedBy, newWebhookSecret, signEvent } from '#src/domain/webhook.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const event = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: '1614265330',
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}
const at = (seconds: number) => new Date(seconds * 1_000)

describe('a signed event', () => {
  it('is signed as Standard Webhooks says, by their own example', async () => {
    expect(await signEvent(secret, event)).toBe(event.signature)
    expect(await isSignedBy([secret], event)).toBe(true)
  })

  it('may be signed with any of the secrets, and with unknown versions beside', async () => {
    const other = newWebhookSecret()
    expect(other).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const both = `v1a,AAAA v1,AAAA ${event.signature}`
    expect(await isSignedBy([other, secret], { ...event, signature: both })).toBe(true)
    expect(await isSignedBy([other], event)).toBe(false)
    expect(await isSignedBy([], event)).toBe(false)
  })

  it.each([
    ['another body', { body: '{"test": 2432232315}' }],
    ['another id', { id: 'msg_2' }],
    ['another time', { timestamp: '1614265331' }],
    ['another version', { signature: event.signature.replace('v1,', 'v2,') }],
    ['half a signature', { signature: event.signature.slice(0, 20) }],
    ['no base64', { signature: 'v1,%%%%' }],
    ['no signature', { signature: '' }],
  ])('is not good with %s', async (_, change) => {
    expect(await isSignedBy([secret], { ...event, ...change })).toBe(false)
  })

  it('is good for five minutes either way', () => {
    expect(eventProblem(event, at(1_614_265_330 + 300))).toBeUndefined()
    expect(eventProblem(event, at(1_614_265_330 - 300))).toBeUndefined()
    expect(eventProblem(event, at(1_614_265_330 + 301))).toBe('stale')
    expect(eventProblem(event, at(1_614_265_330 - 301))).toBe('stale')
    expect(eventProblem({ ...event, id: 'a.b' }, at(1_614_265_330))).toBe('id')
    expect(eventProblem({ ...event, timestamp: 'now' }, at(1_614_265_330))).toBe('timestamp')
  })
})
