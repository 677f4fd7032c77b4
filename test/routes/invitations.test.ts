import { describe, expect, it } from 'vitest'
import type { Role } from '#src/domain/role.ts'
import { keyFor, madeUp, problem } from '#test/support/answers.ts'
import { member, ownerOf, send, signIn, type Person } from '#test/support/member.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { password, type Tenant } from '#test/support/world.ts'

type InvitationJson = { id: string; email: string; role: Role; state: string; expiresAt: string }

const here = await fileWorld()
const db = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const boss = await ownerOf(here, db, acme)

const someone = () => `${crypto.randomUUID()}@example.com`
const post = (by: Person, body: object) => by.fetch('/v1/invitations', { method: 'POST', body })
function use(token: string, account?: object, by?: Person): Promise<Response> {
  const init = { method: 'POST', body: { token, ...(account ? { account } : {}) } }
  return by ? by.fetch('/v1/invitations/use', init) : send(here, '/v1/invitations/use', init)
}
const look = (token: string) => send(here, '/v1/invitations/look', { body: { token } })

/** The tokens that were mailed to the address, the newest last. */
const mailed = (email: string, count = 1): Promise<string[]> =>
  until('the mail', async () => {
    const found = (await here.mails(email)).flatMap(
      ({ text }) => /#token=(weir_invitation_[A-Za-z0-9_-]{43})/.exec(text)?.[1] ?? [],
    )
    return found.length >= count && found
  })

async function invited(by: Person, email: string, role: Role = 'developer', more: object = {}) {
  const made = await json<InvitationJson>(await post(by, { email, role, ...more }), 201)
  const [token = ''] = await mailed(email)
  return { ...made, token }
}

const membership = async (tenant: Tenant, email: string) =>
  (
    await db.query<{ role: Role; verified: boolean }>(
      `select m.role, u.email_verified_at is not null as verified from memberships m join users u on u.id = m.user_id
       where m.tenant_id = $1 and u.email = $2`,
      [tenant.id, email],
    )
  ).rows[0]

describe('an invitation', () => {
  it('lets somebody new in with a name and a password, once, and the address counts as proved', async () => {
    const email = someone()
    const { id, token } = await invited(boss, email)
    expect(await json(await look(token), 200)).toMatchObject({
      tenant: { name: acme.email },
      email,
      role: 'developer',
      hasAccount: false,
    })
    const joined = await json<{ tenant: { id: string }; user: { email: string }; accessToken: string }>(
      await use(token, { name: 'Ada', password }),
      201,
    )
    expect(joined).toMatchObject({ tenant: { id: acme.id }, user: { email } })
    expect(await membership(acme, email)).toEqual({ role: 'developer', verified: true })
    expect(await json(await boss.fetch(`/v1/invitations/${id}`), 200)).toMatchObject({ state: 'used' })
    await problem(await use(token, { password }), 404)
    await problem(await look(token), 404)
  })

  it('lets somebody in who has an account, signed in with the address that it is for', async () => {
    const theirs = await ownerOf(here, db, globex)
    const { token } = await invited(boss, globex.email, 'operator')
    expect(await json(await look(token), 200)).toMatchObject({ hasAccount: true })
    await problem(await use(token), 401)
    await problem(await use(token, { password }), 409)
    await problem(await use(token, undefined, await member(here, db, acme, 'viewer')), 403)
    expect(await json(await use(token, undefined, theirs), 200)).toMatchObject({
      tenant: { id: acme.id },
      role: 'operator',
    })
    expect(await membership(acme, globex.email)).toMatchObject({ role: 'operator' })
    const there = await signIn(here, globex, acme.id)
    expect((await there.fetch('/v1/pipelines')).status).toBe(200)
  })

  it('is used by one of many who come at once', async () => {
    const email = someone()
    const { token } = await invited(boss, email)
    const answers = await Promise.all(Array.from({ length: 5 }, () => use(token, { password })))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    const { rows } = await db.query('select from users where email = $1', [email])
    expect(rows).toHaveLength(1)
  })

  it.each([
    ['revoked', `update invitations set revoked_at = now() where id = $1`],
    ['over', `update invitations set expires_at = now() where id = $1`],
    [
      'of somebody who has left',
      `delete from memberships where user_id = (select invited_by from invitations where id = $1)`,
    ],
    [
      'of a suspended tenant',
      `update tenants set suspended_at = now() where tenant_id = (select tenant_id from invitations where id = $1)`,
    ],
    [
      'of a tenant that is to end',
      `update tenants set deletes_at = now() + interval '1 day' where tenant_id = (select tenant_id from invitations where id = $1)`,
    ],
  ])('is worth nothing when it is %s, in the words for one that never was', async (_, change) => {
    const tenant = await here.tenant()
    await ownerOf(here, db, tenant)
    const inviter = await member(here, db, tenant, 'admin')
    const email = someone()
    const { id, token } = await invited(inviter, email)
    await db.query(change, [id])
    const never = await problem(await use(`weir_invitation_${'A'.repeat(43)}`, { password }), 404)
    expect((await problem(await use(token, { password }), 404)).detail).toBe(never.detail)
    expect((await problem(await look(token), 404)).detail).toBe(never.detail)
    expect((await db.query('select from users where email = $1', [email])).rows).toEqual([])
  })

  it('is offered by nobody who could not give it: role, proof of address, kind of credential', async () => {
    const admin = await member(here, db, acme, 'admin')
    const email = someone()
    await problem(await post(admin, { email, role: 'owner' }), 403)
    for (const role of ['developer', 'analyst', 'operator', 'viewer'] as const)
      await problem(await post(await member(here, db, acme, role), { email, role: 'viewer' }), 403)
    const key = await keyFor(acme, ['members:read', 'members:write'])
    await problem(await key('/v1/invitations', { method: 'POST', body: { email, role: 'viewer' } }), 403)
    await db.query('update users set email_verified_at = null where id = $1', [admin.userId])
    expect((await problem(await post(admin, { email, role: 'viewer' }), 403)).detail).toContain('Confirm')
    expect(await here.mails(email)).toEqual([])
  })

  it('loses its worth when who offered it loses their role', async () => {
    const admin = await member(here, db, acme, 'admin')
    const email = someone()
    const { token } = await invited(admin, email, 'admin')
    await boss.fetch(`/v1/members/${admin.userId}`, { method: 'PATCH', body: { role: 'viewer' } })
    expect((await problem(await use(token, { password }), 404)).code).toBe('not_found')
  })

  it('is refused where the plan has no more members', async () => {
    const tenant = await here.tenant()
    const owner = await ownerOf(here, db, tenant)
    const email = someone()
    const { token } = await invited(owner, email)
    await db.query(`update tenants set over_quota = '{members}' where tenant_id = $1`, [tenant.id])
    expect((await problem(await use(token, { password }), 402)).detail).toContain('members')
    await db.query(`update tenants set over_quota = '{}' where tenant_id = $1`, [tenant.id])
    expect((await use(token, { password })).status).toBe(201)
  })

  it('is sent again with another link, and the first one is worth nothing', async () => {
    const email = someone()
    const { id, token } = await invited(boss, email)
    await problem(await post(boss, { email, role: 'viewer' }), 409)
    expect((await boss.fetch(`/v1/invitations/${id}/resend`, { method: 'POST' })).status).toBe(200)
    const tokens = await mailed(email, 2)
    const second = tokens.find((one) => one !== token) ?? ''
    await problem(await use(token, { password }), 404)
    expect((await use(second, { password })).status).toBe(201)
    await problem(await boss.fetch(`/v1/invitations/${id}/resend`, { method: 'POST' }), 409)
    await problem(await post(boss, { email, role: 'viewer' }), 409)
  })

  it('is listed, revoked, and out of reach of another tenant', async () => {
    const { id, token } = await invited(boss, someone())
    const other = await ownerOf(here, db, await here.tenant())
    await problem(await other.fetch(`/v1/invitations/${id}`), 404)
    await problem(await other.fetch(`/v1/invitations/${id}`, { method: 'DELETE' }), 404)
    await problem(await other.fetch(`/v1/invitations/${id}/resend`, { method: 'POST' }), 404)
    await problem(await boss.fetch(`/v1/invitations/${madeUp(id)}`), 404)
    const open = await boss.fetch('/v1/invitations?state=open&limit=500')
    expect((await json<{ items: InvitationJson[] }>(open, 200)).items.map((one) => one.id)).toContain(id)
    expect((await boss.fetch(`/v1/invitations/${id}`, { method: 'DELETE' })).status).toBe(204)
    await problem(await boss.fetch(`/v1/invitations/${id}`, { method: 'DELETE' }), 409)
    expect(await json(await boss.fetch(`/v1/invitations/${id}`), 200)).toMatchObject({ state: 'revoked' })
    await problem(await use(token, { password }), 404)
  })

  it('shows its token nowhere but in the mail, and is stored as a hash', async () => {
    const email = someone()
    const { id, token } = await invited(boss, email)
    const shown = await (await boss.fetch(`/v1/invitations/${id}`)).text()
    expect(shown).not.toContain(token)
    const { rows } = await db.query<{ row: string }>(
      'select to_jsonb(i)::text as row from invitations i where id = $1',
      [id],
    )
    expect(rows[0]?.row).not.toContain(token.slice(-43))
  })

  it.each([
    [{ email: 'nobody', role: 'viewer' }],
    [{ email: 'a@example.com', role: 'king' }],
    [{ email: 'a@example.com', role: 'viewer', days: 8 }],
    [{ email: 'a@example.com', role: 'viewer', teams: ['tea_00000000000000000000000000'] }],
    [
      {
        email: 'a@example.com',
        role: 'viewer',
        projects: [{ id: 'prj_00000000000000000000000000', level: 'edit' }],
      },
    ],
    [{ email: 'a@example.com', role: 'viewer', tenantId: 'ten_x' }],
  ])('says what is wrong with %j', async (body) => {
    expect((await problem(await post(boss, body), 422)).fields).toHaveLength(1)
  })
})
