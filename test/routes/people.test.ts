import { describe, expect, it } from 'vitest'
import { keyFor, madeUp, problem } from '#test/support/answers.ts'
import { member, ownerOf, send, signIn, type Person } from '#test/support/member.ts'
import { fileDatabase, fileWorldOn } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'

// Every row of every table is looked at: there are few where no other test writes.
const database = await fileDatabase()
const { owner: db } = database
const here = await fileWorldOn(database)
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

const erase = (who: Person) => who.fetch('/v1/me', { method: 'DELETE' })

/** Every table in which a row holds the text, and how many do. */
async function holding(text: string): Promise<string[]> {
  const { rows: tables } = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and c.relname not like 'audit%' order by 1`,
  )
  const found: string[] = []
  for (const { name } of tables) {
    const { rowCount } = await db.query(
      `select from ${name} t where strpos(to_jsonb(t)::text, $1) > 0 limit 1`,
      [text],
    )
    if (rowCount) found.push(name)
  }
  return found
}

describe('a person’s export', () => {
  it('holds what is kept of them in every tenant, no secret, and nothing of anybody else', async () => {
    const one = await member(here, db, acme, 'developer')
    const answer = await one.fetch('/v1/me/export', { method: 'POST' })
    expect(answer.headers.get('content-disposition')).toContain('attachment')
    const text = await answer.text()
    const file = JSON.parse(text) as {
      account: { id: string; email: string }
      memberships: { tenantId: string; role: string }[]
      sessions: { user_id: string }[]
    }
    expect(file.account).toMatchObject({ id: one.userId, email: one.email })
    expect(file.memberships.map(({ role }) => role).sort()).toEqual(['developer', 'owner'])
    expect(file.memberships.map(({ tenantId }) => tenantId)).toContain(acme.id)
    expect(file.sessions.length).toBeGreaterThan(1)
    expect(file.sessions.every(({ user_id: id }) => id === one.userId)).toBe(true)
    const { rows } = await db.query<{ secret: string }>(
      `select password_hash as secret from users where id = $1
       union all select token_hash from sessions where user_id = $1`,
      [one.userId],
    )
    expect(rows.length).toBeGreaterThan(2)
    for (const { secret } of rows) expect(text).not.toContain(secret)
    for (const other of [acme.email, acme.userId, globex.id, globex.email])
      expect(
        text.replaceAll(`"tenant":"${acme.email}"`, '').replaceAll(`"tenant": "${acme.email}"`, ''),
      ).not.toContain(other)
  })

  it('is for the person alone', async () => {
    const key = await keyFor(acme, ['members:read', 'members:write', 'privacy:write'])
    expect((await problem(await key('/v1/me/export', { method: 'POST' }), 403)).detail).toContain('person')
    expect((await problem(await key('/v1/me', { method: 'DELETE' }), 403)).detail).toContain('person')
  })
})

describe('erasing oneself', () => {
  it('ends memberships and sessions everywhere and leaves an id that is nobody’s', async () => {
    const one = await member(here, db, acme, 'developer')
    const [home] = (
      await db.query<{ tenant_id: string }>(
        `select tenant_id from memberships where user_id = $1 and role = 'owner'`,
        [one.userId],
      )
    ).rows
    expect((await problem(await erase(one), 409)).detail).toContain(one.email)
    await db.query(
      `update tenants set deletes_at = now() + interval '1 day', name = 'ending' where tenant_id = $1`,
      [home?.tenant_id],
    )
    expect((await erase(one)).status).toBe(204)
    await problem(await one.fetch('/v1/me'), 401)
    await expect(signIn(here, one, acme.id)).rejects.toThrow('401')
    expect(await holding(one.email)).toEqual([])
    expect(await holding(one.userId)).toEqual(expect.arrayContaining(['users', 'former_members']))
    const { rows } = await db.query('select email, password_hash from users where id = $1', [one.userId])
    expect(rows).toEqual([{ email: `${one.userId}@erased.invalid`, password_hash: null }])
    // The address is free again.
    const again = await send(here, '/v1/sign-up', {
      body: { tenantName: 'again', email: one.email, password: one.password },
    })
    expect(again.status).toBe(201)
  })

  it('is refused to the last owner, and to one of two who go at once', async () => {
    const tenant = await here.tenant()
    const boss = await ownerOf(here, db, tenant)
    expect((await problem(await erase(boss), 409)).detail).toContain(tenant.email)
    const other = await member(here, db, tenant, 'owner')
    await db.query(`delete from memberships where user_id = $1 and tenant_id <> $2`, [
      other.userId,
      tenant.id,
    ])
    const statuses = (await Promise.all([erase(boss), erase(other)])).map(({ status }) => status)
    expect(statuses.filter((status) => status === 204)).toHaveLength(1)
    const { rows } = await db.query(`select from memberships where tenant_id = $1 and role = 'owner'`, [
      tenant.id,
    ])
    expect(rows).toHaveLength(1)
  })
})

describe('anonymising who has left', () => {
  const anonymise = (by: Person, id: string) =>
    by.fetch(`/v1/members/former/${id}/anonymise`, { method: 'POST' })

  it('takes the account too when it is in no other tenant, and only of one’s own former members', async () => {
    const boss = await ownerOf(here, db, acme)
    const [stays, goes] = [await member(here, db, acme, 'viewer'), await member(here, db, acme, 'viewer')]
    await db.query(`delete from memberships where user_id = $1 and role = 'owner'`, [goes.userId])
    await problem(await anonymise(boss, goes.userId), 404)
    for (const one of [stays, goes])
      expect((await boss.fetch(`/v1/members/${one.userId}`, { method: 'DELETE' })).status).toBe(204)
    const admin = await member(here, db, acme, 'admin')
    await problem(await anonymise(admin, goes.userId), 403)
    const theirs = await ownerOf(here, db, globex)
    await problem(await anonymise(theirs, goes.userId), 404)
    await problem(await anonymise(boss, madeUp(goes.userId)), 404)
    for (const one of [stays, goes]) expect((await anonymise(boss, one.userId)).status).toBe(204)
    expect(await holding(goes.email)).not.toContain('users')
    expect(await holding(stays.email)).toContain('users')
    const former = await json<{ items: { id: string; anonymisedAt?: string }[] }>(
      await boss.fetch('/v1/members/former'),
      200,
    )
    expect(former.items.find(({ id }) => id === goes.userId)?.anonymisedAt).toBeDefined()
  })
})
