import { beforeAll, describe, expect, it } from 'vitest'
import { describeError } from '#src/http/request-log.ts'
import { entrance, json, password } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>

beforeAll(async () => {
  door = await entrance()
  acme = await door.owner()
})

describe('every request', () => {
  it('leaves one line that says who, what, how it ended and how long it took', async () => {
    door.lines.length = 0
    const key = await acme.key()
    door.lines.length = 0
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const answer = await key.fetch(`/v1/api-keys/${key.id}`, {
      headers: { 'x-request-id': 'mine-1', traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    })
    expect(answer.status).toBe(403)
    expect(door.lines).toEqual([
      {
        event: 'request',
        requestId: 'mine-1',
        traceId,
        tenantId: acme.tenant.id,
        actor: key.id,
        method: 'GET',
        route: '/v1/api-keys/:id',
        status: 403,
        ms: expect.any(Number),
        reason: 'forbidden',
      },
    ])
  })

  it('keeps a request id that is harmless and replaces any other', async () => {
    const answered = async (id: string) =>
      (await door.send('/v1/health', { headers: { 'x-request-id': id } })).headers.get('x-request-id')
    expect(await answered('a.B-9_z')).toBe('a.B-9_z')
    for (const bad of ['a b', '{"event":"fake"}', 'x'.repeat(129), 'ü', '']) {
      expect(await answered(bad)).toMatch(/^req_[0-9a-z]{26}$/)
    }
  })

  it('never writes a secret', async () => {
    door.lines.length = 0
    const { key } = await acme.key()
    await door.send('/v1/sessions', json({ email: acme.email, password }))
    await door.send('/v1/sessions', json({ email: acme.email, password: 'wrong secret' }))
    await door.send('/v1/sessions/refresh', json({ refreshToken: acme.refreshToken }))
    await door.send(`/v1/me?api_key=${key}`)
    await door.send('/v1/me', { headers: { authorization: `Bearer ${key}` } })
    const log = JSON.stringify(door.lines)
    expect(door.lines.length).toBeGreaterThanOrEqual(6)
    for (const secret of [key, password, 'wrong secret', acme.refreshToken, acme.accessToken, acme.email]) {
      expect(log).not.toContain(secret)
    }
  })

  it('carries the headers that keep browsers from guessing, framing, caching and telling on', async () => {
    for (const answer of [
      await acme.fetch('/v1/me'),
      await door.send('/v1/me'),
      await door.send('/nowhere'),
      await acme.fetch('/v1/things/one'),
      await acme.fetch('/v1/things/one', { headers: { 'if-none-match': '*' } }),
      await door.send('/v1/me', { method: 'OPTIONS', headers: { 'access-control-request-method': 'GET' } }),
    ]) {
      expect(answer.headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
      expect(answer.headers.get('cross-origin-opener-policy')).toBe('same-origin')
      expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin')
      expect(answer.headers.get('permissions-policy')).toMatch(/\bcamera=\(\), .*\busb=\(\)/)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(answer.headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/)
    }
  })
})

describe('an error in the log', () => {
  it('has its name, code and place, and nothing that it says', () => {
    const cause = Object.assign(new Error('password is hunter2\n    at the gates'), { code: '23505' })
    const line = JSON.stringify(describeError(new Error('insert into secrets values (hunter2)', { cause })))
    expect(line).toContain('23505')
    expect(line).toContain('observe.test.ts')
    expect(line).not.toMatch(/hunter2|insert/)
  })
})
