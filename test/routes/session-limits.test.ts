import { describe, expect, it } from 'vitest'
import { sha256 } from '#src/domain/digest.ts'
import { problem } from '#test/support/answers.ts'
import { ownerOf, send, signIn, type Person } from '#test/support/member.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const db = await fileOwner()

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

type Settings = { sessionIdleMs?: number | null; sessionMaxMs?: number | null }
const settle = async (boss: Person, settings: Settings) =>
  boss.fetch('/v1/tenant', { method: 'PATCH', headers: { 'If-Match': '*' }, body: settings })

/** The clock goes forward for one family: everything that is kept of it is so much longer ago. */
const later = async ({ refreshToken }: Tokens, byMs: number) =>
  db.query(
    `update sessions set created_at = created_at - $2 * interval '1 ms', began_at = began_at - $2 * interval '1 ms',
       expires_at = expires_at - $2 * interval '1 ms'
     where (tenant_id, family_id) = (select tenant_id, family_id from sessions where token_hash = $1)`,
    [await sha256(refreshToken), byMs],
  )

type Tokens = { accessToken: string; refreshToken: string }
const renew = ({ refreshToken }: Tokens) => send(here, '/v1/sessions/refresh', { body: { refreshToken } })
const renewed = async (session: Tokens) => json<Tokens>(await renew(session), 200)

async function both(): Promise<{ strict: Tenant; other: Tenant; boss: Person }> {
  const [strict, other] = await Promise.all([here.tenant(), here.tenant()])
  return { strict, other, boss: await ownerOf(here, db, strict) }
}

describe('what a tenant sets for its sessions', () => {
  it.each<[Settings, string]>([
    [{ sessionIdleMs: 5 * minute - 1 }, 'sessionIdleMs'],
    [{ sessionIdleMs: 30 * day + 1 }, 'sessionIdleMs'],
    [{ sessionIdleMs: 300_000.5 }, 'sessionIdleMs'],
    [{ sessionMaxMs: 15 * minute - 1 }, 'sessionMaxMs'],
    [{ sessionMaxMs: 30 * day + 1 }, 'sessionMaxMs'],
  ])('is within bounds: not %j', async (settings, field) => {
    const { boss } = await both()
    const refused = await problem(await settle(boss, settings), 422)
    expect(refused.fields?.map(({ path }) => path)).toEqual([field])
  })

  it('is read as it was set, one without the other, and lifted by null', async () => {
    const { boss } = await both()
    const read = async () => json<Settings>(await boss.fetch('/v1/tenant'), 200)
    expect((await settle(boss, { sessionIdleMs: 5 * minute, sessionMaxMs: 30 * day })).status).toBe(200)
    expect(await read()).toMatchObject({ sessionIdleMs: 5 * minute, sessionMaxMs: 30 * day })
    expect((await settle(boss, { sessionMaxMs: 15 * minute })).status).toBe(200)
    expect(await read()).toMatchObject({ sessionIdleMs: 5 * minute, sessionMaxMs: 15 * minute })
    expect((await settle(boss, { sessionIdleMs: null })).status).toBe(200)
    expect(await read()).not.toHaveProperty('sessionIdleMs')
    expect(await read()).toMatchObject({ sessionMaxMs: 15 * minute })
  })

  it('ends a session that was not used for so long, and none of another tenant', async () => {
    const { strict, other, boss } = await both()
    await settle(boss, { sessionIdleMs: hour })
    const [used, unused] = [await signIn(here, strict, strict.id), await signIn(here, strict, strict.id)]
    await later(used, hour - minute)
    await later(unused, hour)
    await later(other, hour)
    expect((await renew(unused)).status).toBe(401)
    const next = await renewed(used)
    expect((await renew(other)).status).toBe(200)
    // Using it begins the hour anew.
    await later(next, hour - minute)
    await renewed(next)
  })

  it('ends a session after so long however much it is used, and shows when', async () => {
    const { strict, other, boss } = await both()
    await settle(boss, { sessionMaxMs: 3 * hour })
    let session: Tokens = await signIn(here, strict, strict.id)
    const { items } = await json<{ items: { current: boolean; expiresAt: string; firstUsedAt: string }[] }>(
      await send(here, '/v1/sessions', {
        method: 'GET',
        headers: { Authorization: `Bearer ${session.accessToken}` },
      }),
      200,
    )
    const current = items.find((one) => one.current)
    expect(Date.parse(current?.expiresAt ?? '') - Date.parse(current?.firstUsedAt ?? '')).toBe(3 * hour)
    for (let used = 0; used < 2; used++) {
      await later(session, hour)
      session = await renewed(session)
    }
    await later(session, hour)
    await later(other, 3 * hour)
    expect((await renew(session)).status).toBe(401)
    expect((await renew(other)).status).toBe(200)
  })

  it('counts for sessions that are open already, from their next exchange on', async () => {
    const { strict, boss } = await both()
    const session = await signIn(here, strict, strict.id)
    await later(session, 2 * hour)
    const next = await renewed(session)
    await settle(boss, { sessionMaxMs: hour })
    expect((await renew(next)).status).toBe(401)
    await settle(boss, { sessionMaxMs: null })
  })
})

describe('going from tenant to tenant', () => {
  const switchTo = (session: Tokens, tenantId: string) =>
    send(here, '/v1/sessions/switch', {
      headers: { Authorization: `Bearer ${session.accessToken}` },
      body: { tenantId },
    })
  async function memberOfBoth() {
    const { strict, other, boss } = await both()
    await db.query(`insert into memberships (tenant_id, user_id, role) values ($1, $2, 'viewer')`, [
      strict.id,
      other.userId,
    ])
    return { strict, other, boss }
  }

  it('makes no session last longer: thirty days after the sign-in it is over', async () => {
    const { strict, other } = await memberOfBoth()
    let session: Tokens = await signIn(here, other, other.id)
    for (const tenant of [strict, other, strict, other]) {
      await later(session, 6 * day)
      session = await renewed(session)
      session = await json<Tokens>(await switchTo(session, tenant.id), 201)
    }
    await later(session, 6 * day - hour)
    session = await renewed(session)
    await later(session, hour)
    expect((await renew(session)).status).toBe(401)
  })

  it('leads nowhere where somebody has been signed in for longer than that tenant allows', async () => {
    const { strict, other, boss } = await memberOfBoth()
    await settle(boss, { sessionMaxMs: hour })
    const session = await signIn(here, other, other.id)
    await later(session, 2 * hour)
    const refused = await problem(await switchTo(session, strict.id), 401)
    expect(refused.detail).toContain('sign in there')
    // The session that they have is as it was, and a sign-in leads there.
    await renewed(session)
    expect((await signIn(here, other, strict.id)).accessToken).not.toBe('')
  })
})
