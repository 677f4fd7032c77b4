import { describe, expect, it } from 'vitest'
import { roles, type Role } from '#src/domain/role.ts'
import { keyFor, madeUp, problem } from '#test/support/answers.ts'
import { member, ownerOf, signIn, type Person } from '#test/support/member.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

type MemberJson = { id: string; email: string; role: Role; joinedAt: string }

const here = await fileWorld()
const db = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const boss = await ownerOf(here, db, acme)

const join = (role: Role, tenant = acme) => member(here, db, tenant, role)
const patch = (by: Person, id: string, role: string) =>
  by.fetch(`/v1/members/${id}`, { method: 'PATCH', body: { role } })
const remove = (by: Person, id: string) => by.fetch(`/v1/members/${id}`, { method: 'DELETE' })
const roleOf = async (tenant: Tenant, id: string) =>
  (
    await db.query<{ role: Role }>('select role from memberships where tenant_id = $1 and user_id = $2', [
      tenant.id,
      id,
    ])
  ).rows[0]?.role

describe('the members of a tenant', () => {
  it('are listed page by page and by filter, and are nobody of another tenant', async () => {
    const tenant = await here.tenant()
    const [admin, viewer] = [await join('admin', tenant), await join('viewer', tenant)]
    const first = await json<{ items: MemberJson[]; nextCursor?: string }>(
      await tenant.fetch('/v1/members?limit=2'),
      200,
    )
    const rest = await json<{ items: MemberJson[]; nextCursor?: string }>(
      await tenant.fetch(`/v1/members?limit=2&cursor=${first.nextCursor}`),
      200,
    )
    expect([...first.items, ...rest.items].map(({ id, email, role }) => ({ id, email, role }))).toEqual(
      [
        { id: tenant.userId, email: tenant.email, role: 'owner' },
        { id: admin.userId, email: admin.email, role: 'admin' },
        { id: viewer.userId, email: viewer.email, role: 'viewer' },
      ].sort((a, b) => (a.id < b.id ? -1 : 1)),
    )
    expect(rest.nextCursor).toBeUndefined()
    const found = async (query: string) =>
      (await json<{ items: MemberJson[] }>(await tenant.fetch(`/v1/members?${query}`), 200)).items.map(
        ({ id }) => id,
      )
    expect(await found('role=admin')).toEqual([admin.userId])
    expect(await found(`email=${viewer.email.slice(0, 12).toUpperCase()}`)).toEqual([viewer.userId])
    await problem(await tenant.fetch('/v1/members?rôle=admin'), 400)
    await problem(await tenant.fetch(`/v1/members/${globex.userId}`), 404)
    await problem(await tenant.fetch(`/v1/members/${madeUp(globex.userId)}`), 404)
  })

  it('get another role, which counts in their very next request', async () => {
    const one = await join('viewer')
    await problem(await one.fetch('/v1/api-keys'), 403)
    expect(await json<MemberJson>(await patch(boss, one.userId, 'developer'), 200)).toMatchObject({
      id: one.userId,
      role: 'developer',
    })
    expect((await one.fetch('/v1/api-keys')).status).toBe(200)
    await patch(boss, one.userId, 'viewer')
    await problem(await one.fetch('/v1/api-keys'), 403)
  })

  it('are out at once when they are taken out: token, refresh token and sign-in', async () => {
    const one = await join('developer')
    expect((await one.fetch('/v1/pipelines')).status).toBe(200)
    expect((await remove(boss, one.userId)).status).toBe(204)
    await problem(await one.fetch('/v1/pipelines'), 401)
    const renewed = await one.fetch('/v1/sessions/refresh', {
      method: 'POST',
      headers: { Authorization: '' },
      body: { refreshToken: one.refreshToken },
    })
    expect(renewed.status).toBe(401)
    await expect(signIn(here, one, acme.id)).rejects.toThrow('401')
    expect(await roleOf(acme, one.userId)).toBeUndefined()
    await problem(await remove(boss, one.userId), 404)
  })

  it('leave by themselves', async () => {
    const one = await join('viewer')
    expect((await one.fetch('/v1/me/leave', { method: 'POST' })).status).toBe(204)
    await problem(await one.fetch('/v1/pipelines'), 401)
    expect(await roleOf(acme, one.userId)).toBeUndefined()
  })

  it('cannot be touched from another tenant', async () => {
    const theirs = await join('viewer', globex)
    await problem(await patch(boss, theirs.userId, 'admin'), 404)
    await problem(await remove(boss, theirs.userId), 404)
    expect(await roleOf(globex, theirs.userId)).toBe('viewer')
  })
})

describe('nobody', () => {
  it('gives more than they have, or takes it from those who have more', async () => {
    const [admin, other, viewer] = [await join('admin'), await join('admin'), await join('viewer')]
    await problem(await patch(admin, viewer.userId, 'owner'), 403)
    await problem(await patch(admin, admin.userId, 'owner'), 403)
    await problem(await patch(admin, acme.userId, 'viewer'), 403)
    await problem(await remove(admin, acme.userId), 403)
    expect((await patch(admin, viewer.userId, 'admin')).status).toBe(200)
    expect((await patch(admin, other.userId, 'viewer')).status).toBe(200)
    for (const role of roles.filter((one) => one !== 'owner' && one !== 'admin')) {
      const one = await join(role)
      await problem(await patch(one, viewer.userId, 'viewer'), 403)
      await problem(await remove(one, viewer.userId), 403)
    }
  })

  it('goes past their role with a key that may only change members', async () => {
    const viewer = await join('viewer')
    const key = await keyFor(acme, ['members:read', 'members:write'])
    const made = await key(`/v1/members/${viewer.userId}`, { method: 'PATCH', body: { role: 'admin' } })
    expect((await problem(made, 403)).detail).toContain('pipelines:write')
  })
})

describe('the last owner', () => {
  it('can neither leave, nor be demoted or removed, by anybody', async () => {
    const tenant = await here.tenant()
    const owner = await ownerOf(here, db, tenant)
    await problem(await owner.fetch('/v1/me/leave', { method: 'POST' }), 409)
    await problem(await patch(owner, tenant.userId, 'admin'), 409)
    await problem(await remove(owner, tenant.userId), 409)
    expect(await roleOf(tenant, tenant.userId)).toBe('owner')
  })

  it('remains when two owners demote, remove or leave each other at the same moment', async () => {
    for (let round = 0; round < 6; round++) {
      const tenant = await here.tenant()
      const one = await ownerOf(here, db, tenant)
      const two = await join('owner', tenant)
      const moves: [Promise<Response>, Promise<Response>] =
        round % 3 === 0
          ? [patch(one, two.userId, 'viewer'), patch(two, one.userId, 'viewer')]
          : round % 3 === 1
            ? [remove(one, two.userId), remove(two, one.userId)]
            : [one.fetch('/v1/me/leave', { method: 'POST' }), two.fetch('/v1/me/leave', { method: 'POST' })]
      const statuses = (await Promise.all(moves)).map(({ status }) => status)
      expect(statuses.filter((status) => status < 300)).toHaveLength(1)
      const { rows } = await db.query(`select from memberships where tenant_id = $1 and role = 'owner'`, [
        tenant.id,
      ])
      expect(rows).toHaveLength(1)
    }
  })

  it('hands the tenant over, and is an admin then', async () => {
    const tenant = await here.tenant()
    const old = await ownerOf(here, db, tenant)
    const heir = await join('developer', tenant)
    const transfer = (by: Person, userId: string) =>
      by.fetch('/v1/tenant/transfer', { method: 'POST', body: { userId } })
    await problem(await transfer(heir, heir.userId), 403)
    await problem(await transfer(old, globex.userId), 404)
    await problem(await transfer(old, old.userId), 404)
    expect((await transfer(old, heir.userId)).status).toBe(204)
    expect([await roleOf(tenant, old.userId), await roleOf(tenant, heir.userId)]).toEqual(['admin', 'owner'])
    await problem(await transfer(old, heir.userId), 403)
    await problem(await old.fetch('/v1/tenant/suspend', { method: 'POST', body: { reason: 'x' } }), 403)
    expect((await transfer(heir, old.userId)).status).toBe(204)
  })
})
