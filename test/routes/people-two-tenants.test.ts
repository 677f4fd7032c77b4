import { describe, expect, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { member, ownerOf, signIn, type Person } from '#test/support/member.ts'
import { fileDatabase, fileWorldOn } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

// Every row of every table is looked at: there are few where no other test writes.
const database = await fileDatabase()
const { owner: db } = database
const here = await fileWorldOn(database)
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

/** A member of both, with everything that a tenant keeps about somebody. */
async function wellKnown(): Promise<Person> {
  const one = await member(here, db, acme, 'developer')
  await db.query('update users set name = $2 where id = $1', [one.userId, `Ada ${one.userId}`])
  // The tests name a tenant after its owner's address, and the log says how a tenant was called.
  await db.query(`delete from memberships where user_id = $1 and tenant_id <> $2`, [one.userId, acme.id])
  await db.query(`insert into memberships (tenant_id, user_id, role) values ($1, $2, 'analyst')`, [
    globex.id,
    one.userId,
  ])
  for (const tenant of [acme, globex]) {
    const boss = await ownerOf(here, db, tenant)
    const ask = async <T>(path: string, body: unknown, status = 201) =>
      json<T>(await boss.fetch(path, { method: 'POST', body }), status)
    const team = await ask<{ id: string }>('/v1/teams', { name: crypto.randomUUID() })
    const put = await boss.fetch(`/v1/teams/${team.id}/members/${one.userId}`, { method: 'PUT' })
    expect(put.status).toBe(204)
    const project = await ask<{ id: string }>('/v1/projects', { name: crypto.randomUUID() })
    await ask('/v1/grants', { subject: one.userId, resource: project.id, level: 'edit' })
    const provider = await ask<{ id: string }>('/v1/sso/providers', {
      name: crypto.randomUUID(),
      issuer: 'https://login.acme.com',
      clientId: 'x',
    })
    await db.query(
      `insert into sso_identities (tenant_id, issuer, subject, user_id, provider_id) values ($1, 'https://login.acme.com', $2, $3, $4)`,
      [tenant.id, `subject of ${one.email}`, one.userId, provider.id],
    )
    await db.query(
      `update scim_users set provisioned = true, display_name = $3, attributes = jsonb_build_object('nickName', $3::text)
       where tenant_id = $1 and user_id = $2`,
      [tenant.id, one.userId, `Ada ${one.userId}`],
    )
    // One that was used long ago, as joining leaves it.
    await db.query(
      `insert into invitations (tenant_id, id, email, role, token_hash, invited_by, expires_at, used_at, used_by)
       values ($1, $2, $3, 'viewer', $4, $5, now() - interval '1 day', now() - interval '2 days', $6)`,
      [tenant.id, newId('invitation'), one.email, crypto.randomUUID(), boss.userId, one.userId],
    )
    const there = await signIn(here, one, tenant.id)
    await json(
      await there.fetch('/v1/me/api-keys', { method: 'POST', body: { name: 'mine', scopes: ['runs:read'] } }),
      201,
    )
  }
  return one
}

/**
 * Where a row speaks of it, in every table, and how many do: of both tenants and of none, or of one alone. To whom an
 * invitation went is for the log to say, for as long as that is kept.
 */
async function tracesOf(text: string, of?: Tenant): Promise<Record<string, number>> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relkind in ('r', 'p') and c.relnamespace in ('public'::regnamespace, 'app'::regnamespace) order by 1`,
  )
  expect(tables.length).toBeGreaterThan(50)
  const found: Record<string, number> = {}
  for (const { name } of tables) {
    const { rows } = await db.query<{ n: number }>(
      `select count(*)::int as n from ${name} t where strpos(to_jsonb(t)::text, $1) > 0
         and coalesce(to_jsonb(t)->>'tenant_id' = any ($2), $3)
         and coalesce(to_jsonb(t)->>'action' not like 'invitation.%', true)`,
      [text, of ? [of.id] : [acme.id, globex.id], of === undefined],
    )
    if (rows[0]?.n) found[name] = rows[0].n
  }
  return found
}

const nameOf = ({ userId }: Person) => `Ada ${userId}`
/** What their work left: rows that say who did it, by an id that is nobody's any more. */
const work = /^(audit_entries|former_members|users|api_keys|projects|grants|teams|invitations|sessions)$/

describe('a person who is in two tenants', () => {
  it('exports what both keep of them, and nothing of the one beside them', async () => {
    const [ada, grace] = [await wellKnown(), await wellKnown()]
    const text = await (await ada.fetch('/v1/me/export', { method: 'POST' })).text()
    const file = JSON.parse(text) as {
      memberships: { tenantId: string; role: string }[]
      own: Record<string, { tenant_id?: string }[]>
      invitations: { tenantId: string }[]
    }
    for (const { id } of [acme, globex]) {
      expect(file.memberships.map(({ tenantId }) => tenantId)).toContain(id)
      expect(file.invitations.map(({ tenantId }) => tenantId)).toContain(id)
      for (const table of ['scim_users', 'sso_identities'])
        expect(file.own[table]?.map(({ tenant_id: tenant }) => tenant)).toContain(id)
    }
    expect(text).toContain(nameOf(ada))
    for (const other of [grace.email, grace.userId, nameOf(grace)]) expect(text).not.toContain(other)
  })

  it('erases themselves out of both, and leaves the others of both as they were', async () => {
    const [ada, grace] = [await wellKnown(), await wellKnown()]
    const before = await tracesOf(grace.userId)
    const named = await tracesOf(grace.email)
    const ofAda = Object.keys(await tracesOf(ada.email))
    expect(ofAda).toEqual(expect.arrayContaining(['users', 'scim_users', 'sso_identities', 'invitations']))
    expect(ofAda).not.toContain('audit_entries')
    expect((await ada.fetch('/v1/me', { method: 'DELETE' })).status).toBe(204)
    expect(await tracesOf(ada.email)).toEqual({})
    expect(await tracesOf(nameOf(ada))).toEqual({})
    const left = Object.keys(await tracesOf(ada.userId))
    expect(left.filter((table) => !work.test(table))).toEqual([])
    const { rows } = await db.query(
      `select email, name, password_hash as password from users where id = $1`,
      [ada.userId],
    )
    expect(rows).toEqual([{ email: `${ada.userId}@erased.invalid`, name: null, password: null }])
    expect(await tracesOf(grace.userId)).toEqual(before)
    expect(await tracesOf(grace.email)).toEqual(named)
    for (const tenant of [acme, globex])
      expect((await signIn(here, grace, tenant.id)).accessToken).not.toBe('')
  })

  it('is anonymised by the one that they have left, and stays whole in the other', async () => {
    const ada = await wellKnown()
    const there = await signIn(here, ada, acme.id)
    expect((await there.fetch('/v1/me/leave', { method: 'POST' })).status).toBe(204)
    const whole = await tracesOf(ada.email, globex)
    const boss = await ownerOf(here, db, acme)
    const path = `/v1/members/former/${ada.userId}/anonymise`
    expect((await boss.fetch(path, { method: 'POST' })).status).toBe(204)
    expect(await tracesOf(ada.email, acme)).toEqual({})
    expect(await tracesOf(nameOf(ada), acme)).toEqual({})
    expect(await tracesOf(ada.email, globex)).toEqual(whole)
    expect(Object.keys(whole)).toContain('scim_users')
    expect((await signIn(here, ada, globex.id)).email).toBe(ada.email)
    // The other tenant has nobody of that name to anonymise.
    const elsewhere = await ownerOf(here, db, globex)
    expect((await elsewhere.fetch(path, { method: 'POST' })).status).toBe(404)
  })
})
