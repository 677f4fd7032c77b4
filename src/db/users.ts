import { eq, sql } from 'drizzle-orm'
import type { Id, TenantId, UserId } from '#src/domain/id.ts'
import type { Role } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { tenants } from './schema.ts'

export type SignUpRow = {
  tenantId: TenantId
  tenantName: string
  userId: UserId
  email: string
  passwordHash: string
  sessionId: Id<'session'>
  tokenHash: string
  expiresAt: Date
}

/** Tenant, owner and first session in one transaction; false when the address already has an account. */
export const insertSignUp = (database: Database, row: SignUpRow): Promise<boolean> =>
  openCall(
    database,
    sql`app.sign_up(${row.tenantId}, ${row.tenantName}, ${row.userId}, ${row.email}, ${row.passwordHash},
      ${row.sessionId}, ${row.tokenHash}, ${row.expiresAt.toISOString()}::timestamptz)`,
  )

type Membership = { id: TenantId; name: string; role: Role }
export type Login = { userId: UserId; email: string; passwordHash: string; tenants: Membership[] }

export const findLogin = async (database: Database, email: string): Promise<Login | undefined> =>
  (await openCall<Login | null>(database, sql`app.find_login(${email})`)) ?? undefined

/** The tenant's name, and the caller's address when the caller is one of its people. */
export async function getSelf(
  tdb: TenantDb,
  userId: UserId | undefined,
): Promise<{ tenantName: string; email: string | undefined }> {
  const [rows] = await tdb.run(
    tdb.sql
      .select({ name: tenants.name, email: sql<string | null>`app.member_email(${userId ?? ''})` })
      .from(tenants)
      .where(eq(tenants.tenantId, tdb.tenantId)),
  )
  const [row] = rows
  return { tenantName: row?.name ?? '', email: row?.email ?? undefined }
}
