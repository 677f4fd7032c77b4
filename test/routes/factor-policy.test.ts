import { describe, expect, it } from 'vitest'
import { authenticator } from '#test/support/authenticator.ts'
import { fileFactorWorld, minute, type Tokens } from '#test/support/factors.ts'
import { member, personOf, send, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const w = await fileFactorWorld()

const demand = (tenantId: string, ...roles: string[]) =>
  w.owner.query('update tenants set mfa_roles = $2 where tenant_id = $1', [tenantId, roles])
const begin = async (token: string) =>
  json<{ secret: string }>(await send(w.here, '/v1/sessions/factor/totp', { body: { token } }), 201)
const enrol = (body: Record<string, unknown>) => send(w.here, '/v1/sessions/factor/enrol', { body })

/** A tenant with an admin who has no other tenant. */
async function withAdmin(role: 'admin' | 'viewer' | 'owner' = 'admin') {
  const tenant = await w.here.tenant()
  const admin = await member(w.here, w.owner, tenant, role)
  await w.owner.query('delete from memberships where user_id = $1 and tenant_id <> $2', [
    admin.userId,
    tenant.id,
  ])
  return { tenant, boss: personOf(w.here, tenant, tenant), admin }
}

/** Gives a person who is signed in one-time codes. */
async function addTotp(person: Person): Promise<string> {
  const { secret } = await json<{ secret: string }>(
    await person.fetch('/v1/me/factors/totp', { method: 'POST', body: {} }),
    201,
  )
  const confirmed = await person.fetch('/v1/me/factors/totp/confirm', {
    method: 'POST',
    body: { code: w.codeOf(secret) },
  })
  expect(confirmed.status).toBe(200)
  return secret
}

describe('a tenant that demands a second factor', () => {
  it('has those who have none set one up in the middle of their sign-in', async () => {
    const person = await w.someone()
    await demand(person.tenantId, 'owner', 'admin')
    const challenge = await w.challengeOf(person)
    expect(challenge).toMatchObject({ factors: ['totp', 'passkey'], enrol: true })
    const { token } = challenge
    const { secret } = await begin(token)
    expect((await w.finish({ token, code: w.codeOf(secret) })).status).toBe(401)
    expect((await enrol({ token, code: w.codeOf(secret, 9) })).status).toBe(401)
    const done = await json<Tokens>(await enrol({ token, code: w.codeOf(secret) }), 201)
    expect(done.recoveryCodes).toHaveLength(10)
    const me = personOf(w.here, person, done)
    expect(await json(await me.fetch('/v1/me/factors'), 200)).toMatchObject({
      items: [{ kind: 'totp' }],
      required: true,
    })
    expect((await enrol({ token, code: w.codeOf(secret, 1) })).status).toBe(401)
    expect(await w.challengeOf(person)).toMatchObject({ factors: ['totp', 'recovery'], enrol: false })
  })

  it('takes a passkey as well', async () => {
    const person = await w.someone()
    await demand(person.tenantId, 'owner')
    const { token } = await w.challengeOf(person)
    const { registration } = await json<{ registration: { challenge: string; rp: { id: string } } }>(
      await send(w.here, '/v1/sessions/factor/passkey/options', { body: { token } }),
      200,
    )
    const device = await authenticator(w.here.url)
    const passkey = await device.create(registration)
    const done = await json<Tokens>(await enrol({ token, passkey, name: 'Laptop' }), 201)
    expect(done.recoveryCodes).toHaveLength(10)
    const options = await json<{ challenge: string; rpId: string }>(
      await send(w.here, '/v1/sessions/passkey/options'),
      200,
    )
    const alone = await send(w.here, '/v1/sessions/passkey', { body: { passkey: await device.get(options) } })
    expect(alone.status).toBe(201)
  })

  it('lets nobody enrol with a token from before the person had a factor', async () => {
    const person = await w.someone()
    await demand(person.tenantId, 'owner')
    const [thief, rightful] = [await w.challengeOf(person), await w.challengeOf(person)]
    const theirs = await begin(thief.token)
    const own = await begin(rightful.token)
    expect((await enrol({ token: rightful.token, code: w.codeOf(theirs.secret) })).status).toBe(401)
    expect((await enrol({ token: rightful.token, code: w.codeOf(own.secret) })).status).toBe(201)
    expect((await enrol({ token: thief.token, code: w.codeOf(theirs.secret) })).status).toBe(401)
    expect((await send(w.here, '/v1/sessions/factor/totp', { body: { token: thief.token } })).status).toBe(
      401,
    )
  })

  it('lets one of two enrolments through that end at once', async () => {
    const person = await w.someone()
    await demand(person.tenantId, 'owner')
    const tokens = [(await w.challengeOf(person)).token, (await w.challengeOf(person)).token]
    const bodies = []
    for (const token of tokens) bodies.push({ token, code: w.codeOf((await begin(token)).secret) })
    const both = await Promise.all(bodies.map(enrol))
    expect(both.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 401])
    const { rows } = await w.owner.query(
      'select 1 from factors where user_id = $1 and confirmed_at is not null',
      [person.userId],
    )
    expect(rows).toHaveLength(1)
  })

  it('asks only the roles that it names, or all', async () => {
    const { tenant, admin } = await withAdmin('viewer')
    await demand(tenant.id, 'owner', 'admin')
    expect((await w.passwordStep(admin)).status).toBe(201)
    await w.owner.query(`update memberships set role = 'admin' where user_id = $1`, [admin.userId])
    expect(await w.challengeOf(admin)).toMatchObject({ enrol: true })
    await w.owner.query(`update memberships set role = 'viewer' where user_id = $1`, [admin.userId])
    await demand(tenant.id, 'all')
    expect(await w.challengeOf(admin)).toMatchObject({ enrol: true })
  })

  it('asks in its own house: the same person enters another tenant without', async () => {
    const strict = await w.here.tenant()
    const person = await member(w.here, w.owner, strict, 'admin')
    const { rows } = await w.owner.query<{ id: string }>(
      'select tenant_id as id from memberships where user_id = $1 and tenant_id <> $2',
      [person.userId, strict.id],
    )
    const relaxed = rows[0]?.id ?? ''
    await demand(strict.id, 'admin')
    const entered = await w.passwordStep(person, relaxed)
    const there = await w.back(person, entered)
    expect(await w.challengeOf(person, strict.id)).toMatchObject({ enrol: true })
    const switched = await there.fetch('/v1/sessions/switch', {
      method: 'POST',
      body: { tenantId: strict.id },
    })
    const { challenge } = await json<{ challenge: { token: string; enrol: boolean } }>(switched, 200)
    expect(challenge.enrol).toBe(true)
    const { secret } = await begin(challenge.token)
    const done = await json<Tokens & { tenant: { id: string } }>(
      await enrol({ token: challenge.token, code: w.codeOf(secret) }),
      201,
    )
    expect(done.tenant.id).toBe(strict.id)
    // Who has a factor shows it everywhere.
    expect(await w.challengeOf(person, relaxed)).toMatchObject({ enrol: false })
  })

  it('does not take for a fresh sign-in what a switch of tenants opened', async () => {
    const other = await w.here.tenant()
    const person = await member(w.here, w.owner, other, 'admin')
    const { rows } = await w.owner.query<{ id: string }>(
      'select tenant_id as id from memberships where user_id = $1 and tenant_id <> $2',
      [person.userId, other.id],
    )
    const switched = await w.back(
      person,
      await person.fetch('/v1/sessions/switch', { method: 'POST', body: { tenantId: rows[0]?.id } }),
    )
    const begun = () => switched.fetch('/v1/me/factors/totp', { method: 'POST', body: {} })
    expect((await begun()).status).toBe(403)
    await switched.fetch('/v1/me/step-up', { method: 'POST', body: { password: person.password } })
    expect((await begun()).status).toBe(201)
  })

  it('is made so by an owner who has just shown who they are, and ends sessions that showed no factor', async () => {
    const person = await w.someone()
    const refresh = ({ refreshToken }: Person) =>
      send(w.here, '/v1/sessions/refresh', { body: { refreshToken } })
    const change = async (who: Pick<Person, 'fetch'>, mfaRoles: string[]) => {
      const tag = (await who.fetch('/v1/tenant')).headers.get('etag') ?? ''
      return who.fetch('/v1/tenant', { method: 'PATCH', body: { mfaRoles }, headers: { 'If-Match': tag } })
    }
    const other = await w.back(person, await w.passwordStep(person))
    await w.owner.query(`update sessions set created_at = now() - interval '11 minutes' where user_id = $1`, [
      person.userId,
    ])
    expect((await change(person, ['owner'])).status).toBe(403)
    await person.fetch('/v1/me/step-up', { method: 'POST', body: { password: person.password } })
    expect((await change(person, ['king'])).status).toBe(422)
    expect((await change(person, ['owner'])).status).toBe(200)
    expect((await refresh(other)).status).toBe(401)
    expect(await w.challengeOf(person)).toMatchObject({ enrol: true })

    const tenant = await w.here.tenant()
    expect((await change(tenant, ['all'])).status).toBe(403)
    expect((await refresh(personOf(w.here, tenant, tenant))).status).toBe(200)
  })

  it('keeps the last factor of whom it asks for one', async () => {
    const { person, secret } = await w.withTotp()
    const { token } = await w.challengeOf(person)
    const me = await w.back(person, await w.finish({ token, code: w.codeOf(secret) }))
    await demand(person.tenantId, 'owner')
    const { items } = await json<{ items: { id: string }[] }>(await me.fetch('/v1/me/factors'), 200)
    const remove = () => me.fetch(`/v1/me/factors/${items[0]?.id}`, { method: 'DELETE' })
    expect((await remove()).status).toBe(409)
    const second = await authenticator(w.here.url)
    const options = await json<{ challenge: string; rp: { id: string } }>(
      await me.fetch('/v1/me/factors/passkeys/options', { method: 'POST' }),
      200,
    )
    const added = await me.fetch('/v1/me/factors/passkeys', {
      method: 'POST',
      body: { passkey: await second.create(options) },
    })
    const { id } = await json<{ id: string }>(added, 201)
    const both = await Promise.all([remove(), me.fetch(`/v1/me/factors/${id}`, { method: 'DELETE' })])
    expect(both.map(({ status }) => status).sort((a, b) => a - b)).toEqual([204, 409])
  })
})

describe('an admin', () => {
  const reset = (who: Person | Tenant, userId: string) =>
    who.fetch(`/v1/members/${userId}/factors`, { method: 'DELETE' })

  it('resets the factors of a member who has lost them, on the record', async () => {
    const { tenant, boss, admin } = await withAdmin()
    await addTotp(admin)
    w.clock.ahead += 2 * minute
    expect(await w.challengeOf(admin)).toMatchObject({ enrol: false })
    expect((await reset(boss, admin.userId)).status).toBe(204)
    expect((await w.passwordStep(admin)).status).toBe(201)
    expect((await w.here.mails(admin.email)).map(({ subject }) => subject)).toContain(
      'Your second factors were removed',
    )
    const { rows } = await w.owner.query('select action, actor from audit_entries where tenant_id = $1', [
      tenant.id,
    ])
    expect(rows).toContainEqual({ action: 'factors.reset', actor: boss.userId })
    expect(rows.map(({ action }: { action: string }) => action)).toContain('factor.added')
  })

  it('needs the permission and a fresh proof of their own, and cannot reach an owner, themselves or a stranger', async () => {
    const { boss, admin } = await withAdmin()
    expect((await reset(admin, boss.userId)).status).toBe(403)
    expect((await reset(boss, boss.userId)).status).toBe(409)
    expect((await reset(boss, (await w.someone()).userId)).status).toBe(404)
    await w.owner.query(`update sessions set created_at = now() - interval '11 minutes' where user_id = $1`, [
      boss.userId,
    ])
    expect((await reset(boss, admin.userId)).status).toBe(403)
    const few = await withAdmin('viewer')
    expect((await reset(few.admin, few.boss.userId)).status).toBe(403)
  })

  it('leaves alone who is in another tenant too, which relies on the same factors', async () => {
    const tenant = await w.here.tenant()
    const person = await member(w.here, w.owner, tenant, 'viewer')
    await addTotp(person)
    expect((await reset(personOf(w.here, tenant, tenant), person.userId)).status).toBe(409)
    w.clock.ahead += 2 * minute
    expect(await w.challengeOf(person)).toMatchObject({ enrol: false })
  })

  it('who is an owner resets an owner; a key does not', async () => {
    const { tenant, boss, admin } = await withAdmin('owner')
    expect((await reset(tenant, admin.userId)).status).toBe(403)
    expect((await reset(boss, admin.userId)).status).toBe(204)
  })
})
