import { describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { actorName, can, permissions, permissionsOf, roles, type Role } from '#src/domain/role.ts'

const user = (role: Role) =>
  ({ kind: 'user', userId: newId('user'), sessionId: newId('session'), role }) as const

describe('roles', () => {
  it('let an owner do everything and a viewer change nothing', () => {
    expect(permissionsOf(user('owner'))).toEqual([...permissions])
    expect(permissionsOf(user('viewer')).filter((one) => one.endsWith(':write'))).toEqual([])
  })

  it('let only owners and admins touch people and keys', () => {
    for (const role of roles) {
      const high = role === 'owner' || role === 'admin'
      expect(can(user(role), 'api-keys:write')).toBe(high)
      expect(can(user(role), 'members:write')).toBe(high)
    }
  })

  it('let everyone but guests see runs, and operators start them without changing pipelines', () => {
    expect(permissionsOf(user('guest'))).toEqual([])
    for (const role of roles.filter((one) => one !== 'guest')) expect(can(user(role), 'runs:read')).toBe(true)
    expect(can(user('operator'), 'runs:write')).toBe(true)
    expect(can(user('operator'), 'pipelines:write')).toBe(false)
  })

  it('let a key do what its scopes say and no more', () => {
    const key = { kind: 'api-key', keyId: newId('apiKey'), scopes: ['runs:read'] } as const
    expect(permissionsOf(key)).toEqual(['runs:read'])
  })

  it('give names that fit into a signed claim', () => {
    const names = [user('owner'), { kind: 'job', job: 'tick' } as const].map(actorName)
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_:-]{1,80}$/)
  })
})
