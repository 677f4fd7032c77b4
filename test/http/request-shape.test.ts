import { beforeAll, describe, expect, it } from 'vitest'
import { mostHeaders, mostParameters, mostUrlCharacters } from '#src/http/request-shape.ts'
import { bodyOf, entrance, json } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>

beforeAll(async () => {
  door = await entrance()
  acme = await door.owner()
})

const many = (count: number, of: (i: number) => string) => Array.from({ length: count }, (_, i) => of(i))
const headers = (count: number) => Object.fromEntries(many(count, (i) => `x-${i}`).map((name) => [name, '1']))

describe('a request', () => {
  it.each<[name: string, path: string, init: RequestInit]>([
    ['a parameter twice', '/v1/api-keys?limit=1&limit=2', {}],
    ['a parameter twice, once encoded', '/v1/api-keys?limit=1&%6Cimit=2', {}],
    ['a parameter with NUL', '/v1/api-keys?cursor=%00', {}],
    ['too many parameters', `/v1/api-keys?${many(mostParameters + 1, (i) => `p${i}=1`).join('&')}`, {}],
    ['too long an address', `/v1/api-keys?cursor=${'x'.repeat(mostUrlCharacters)}`, {}],
    ['too many headers', '/v1/api-keys', { headers: headers(mostHeaders + 1) }],
    ['headers that are too long', '/v1/api-keys', { headers: { 'x-long': 'x'.repeat(33 * 1024) } }],
    ['two lengths', '/v1/things', json({ name: 'xx' }, { 'content-length': '13, 5' })],
    ['a length that is none', '/v1/things', json({ name: 'xx' }, { 'content-length': '+13' })],
    ['a length in hex', '/v1/things', json({ name: 'xx' }, { 'content-length': '0xd' })],
    [
      'a length and chunks',
      '/v1/things',
      json({ name: 'xx' }, { 'content-length': '13', 'transfer-encoding': 'chunked' }),
    ],
    ['a name twice in its body', '/v1/things', { ...json(0), body: '{"name":"xx","name":"yy"}' }],
    ['__proto__ in its body', '/v1/things', { ...json(0), body: '{"name":"xx","__proto__":{"admin":true}}' }],
  ])('is refused with %s', async (_, path, init) => {
    const before = door.things.effects
    const answer = await acme.fetch(path, init)
    expect(answer.status).toBe(400)
    expect(await bodyOf(answer)).toMatchObject({ code: 'malformed' })
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(door.things.effects).toBe(before)
  })

  it.each<[name: string, path: string, init: RequestInit, status: number]>([
    ['as many headers as it may', '/v1/me', { headers: headers(mostHeaders - 2) }, 200],
    ['a length', '/v1/things', json({ name: 'xx' }, { 'content-length': '13' }), 201],
    [
      'an override of its method, which nobody hears',
      '/v1/me',
      { headers: { 'x-http-method-override': 'DELETE' } },
      200,
    ],
    [
      'another host in front, which nobody hears',
      '/v1/me',
      { headers: { 'x-forwarded-host': 'evil.example' } },
      200,
    ],
  ])('is answered with %s', async (_, path, init, status) => {
    expect((await acme.fetch(path, init)).status).toBe(status)
  })

  it('that is odd is refused before its credential is looked at', async () => {
    expect((await door.send('/v1/me?a=1&a=2')).status).toBe(400)
    expect((await door.send('/nowhere?a=1&a=2')).status).toBe(400)
  })
})
