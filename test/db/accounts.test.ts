import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { claimSigner } from '#src/db/claim.ts'
import type { TenantId } from '#src/domain/id.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let owner: pg.Client
let app: pg.Client
let acme: Tenant
let globex: Tenant

beforeAll(async () => {
  here = await world()
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  const url = new URL(inject('ownerUrl'))
  const { username, password, pathname } = new URL(inject('env')['DATABASE_URL'] ?? '')
  app = new pg.Client({ connectionString: Object.assign(url, { username, password, pathname }).href })
  await app.connect()
})
afterAll(async () => {
  await app.end()
  await owner.end()
  await here.close()
})

/** What a statement gives the Worker's own login, under a claim or without; a refusal is its SQLSTATE. */
async function asApp(text: string, claim?: { tenant: TenantId; actor: string }): Promise<unknown> {
  await app.query('begin')
  try {
    if (claim) {
      const sign = claimSigner(inject('env')['CLAIM_KEY'] ?? '', () => new Date())
      await app.query(`select set_config('app.claim', $1, true)`, [await sign(claim.tenant, claim.actor)])
    }
    const { rows } = await app.query<Record<string, unknown>>(text)
    return rows[0]?.['value'] ?? null
  } catch (error) {
    return error instanceof pg.DatabaseError ? error.code : error
  } finally {
    await app.query('rollback')
  }
}

const insufficientPrivilege = '42501'

describe('what belongs to people and not to tenants', () => {
  it.each(['users', 'account_tokens', 'mails'])('is out of the reach of the Worker: %s', async (table) => {
    const column = table === 'account_tokens' ? 'token_hash' : 'id'
    const claim = { tenant: acme.id, actor: acme.userId }
    for (const text of [
      `select count(*) as value from ${table}`,
      `insert into ${table} (${column}) values ('x')`,
      `update ${table} set ${column} = 'x'`,
      `delete from ${table}`,
    ])
      expect(await asApp(text, claim)).toBe(insufficientPrivilege)
    const { rows } = await owner.query<{ walled: boolean }>(
      'select relrowsecurity and relforcerowsecurity as walled from pg_class where oid = $1::regclass',
      [table],
    )
    expect(rows).toEqual([{ walled: true }])
  })

  it.each([
    'app.keep_link($$u$$, $$reset$$, $$h$$, now(), $$m$$, $$s$$, null, null)',
    'app.take_link($$h$$, $$reset$$)',
    'app.end_families($$u$$, null, null, null)',
    'app.prove_address($$u$$)',
    'app.login_of($$u$$)',
    'app.note_person($$u$$, $$x$$)',
  ])('is not done by parts of what may be done: %s', async (call) => {
    expect(await asApp(`select ${call} as value`, { tenant: acme.id, actor: acme.userId })).toBe(
      insufficientPrivilege,
    )
  })

  it('is done for the caller of the claim alone, and for nobody without one', async () => {
    const family = `(select family_id from sessions where user_id = '${globex.userId}')`
    const { rows } = await owner.query<{ id: string }>(`select ${family} as id`)
    const theirs = `'${rows[0]?.id ?? ''}'`
    const mine = { tenant: acme.id, actor: acme.userId }
    /** Somebody who would be a member of the other tenant, in their own. */
    const crossed = { tenant: acme.id, actor: globex.userId }
    expect(await asApp(`select app.end_own_sessions(${theirs}, null) as value`, mine)).toEqual([])
    expect(await asApp(`select app.end_own_sessions(${theirs}, null) as value`)).toEqual([])
    expect(await asApp('select app.own_sessions() as value')).toEqual([])
    expect(await asApp('select app.self() as value')).toBeNull()
    expect(await asApp('select app.self() as value', crossed)).toBeNull()
    expect(await asApp(`select app.end_member_sessions('${globex.userId}') as value`, mine)).toBeNull()
    expect(await asApp(`select app.credential_stands(${theirs}, 'owner', null) as value`, mine)).toBe(false)
    expect(await asApp(`select app.change_password(null, 'x', null, 'm', 's') as value`)).toBeNull()
    const ask = `app.ask_verification('${globex.email}', 'h', now() + interval '1 hour', 'm', 's')`
    expect(await asApp(`select ${ask} as value`, mine)).toBe(false)
    expect(await asApp(`select ${ask} as value`)).toBe(false)
    const change = `app.ask_email_change('${globex.email}', 'a@b.c', 'h', now() + interval '1 hour', 'm', 's')`
    expect(await asApp(`select ${change} as value`, mine)).toBe(false)
  })
})
