import { describe, expect, it } from 'vitest'
import { permissions } from '#src/domain/role.ts'
import { bodyOf, entrance } from '#test/http/entrance.ts'

describe('me', () => {
  it('tells each caller about themselves and nobody else', async () => {
    const door = await entrance()
    const [acme, globex] = await Promise.all([door.owner(), door.owner()])
    for (const each of [acme, globex]) {
      expect(await bodyOf(await each.fetch('/v1/me'))).toEqual({
        tenant: each.tenant,
        user: { ...each.user, emailVerified: false, role: 'owner' },
        permissions: [...permissions],
      })
    }
    const key = await globex.key(['runs:read'])
    expect(await bodyOf(await key.fetch('/v1/me'))).toEqual({
      tenant: globex.tenant,
      apiKey: { id: key.id },
      permissions: ['runs:read'],
    })
  })
})

describe('the published keys', () => {
  it('verify our tokens, may be cached, and hold no secret', async () => {
    const door = await entrance()
    const answer = await door.send('/.well-known/jwks.json')
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300')
    const { keys } = await bodyOf<{ keys: Record<string, string>[] }>(answer)
    expect(keys.length).toBeGreaterThanOrEqual(1)
    for (const key of keys) {
      expect(key).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' })
      expect(key).not.toHaveProperty('d')
    }
  })
})
