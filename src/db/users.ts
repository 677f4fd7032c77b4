import { sql } from 'drizzle-orm'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import type { Client } from './sessions.ts'

export type SignUpRow = {
  tenantId: TenantId
  tenantName: string
  userId: UserId
  email: string
  passwordHash: string
  sessionId: Id<'session'>
  tokenHash: string
  expiresAt: Date
  client: Client
  /** The link that proves the address, and its mail. */
  link: { tokenHash: string; expiresAt: Date; mailId: Id<'mail'>; sealed: string }
}

/** Tenant, owner, first session and a mail in one transaction; false when the address already has an account. */
export const insertSignUp = (database: Database, row: SignUpRow): Promise<boolean> =>
  openCall(
    database,
    sql`app.sign_up(${row.tenantId}, ${row.tenantName}, ${row.userId}, ${row.email}, ${row.passwordHash},
      ${row.sessionId}, ${row.tokenHash}, ${row.expiresAt.toISOString()}::timestamptz,
      ${JSON.stringify(row.client)}::jsonb, ${JSON.stringify(row.link)}::jsonb)`,
  )

export type Membership = { id: TenantId; name: string; role: RoleName; requireSso: boolean }
export type Login = {
  userId: UserId
  email: string
  emailVerified: boolean
  /** Null of those who sign in elsewhere. */
  passwordHash: string | null
  /** The oldest membership first. */
  tenants: Membership[]
}

export const findLogin = async (database: Database, email: string): Promise<Login | undefined> =>
  (await openCall<Login | null>(database, sql`app.find_login(${email})`)) ?? undefined

export const findPerson = async (database: Database, userId: UserId): Promise<Login | undefined> =>
  (await openCall<Login | null>(database, sql`app.find_person(${userId})`)) ?? undefined

/** The tenant's name, and the caller's address when the caller is one of its people. */
export async function getSelf(
  tdb: TenantDb,
  userId: UserId | undefined,
): Promise<{ tenantName: string; email: string | undefined; emailVerified: boolean }> {
  const row = await tdb.call<{ name: string; self: { email: string; emailVerified: boolean } | null }>(
    sql`jsonb_build_object('name', app.tenant_name(), 'self', app.self() - 'passwordHash')`,
  )
  const self = userId === undefined ? undefined : (row.self ?? undefined)
  return { tenantName: row.name, email: self?.email, emailVerified: self?.emailVerified ?? false }
}
