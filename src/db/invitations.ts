import { sql } from 'drizzle-orm'
import type { Level } from '#src/domain/access.ts'
import type { Id, ProjectId, TenantId, UserId } from '#src/domain/id.ts'
import type { InvitationState } from '#src/domain/invitation.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { Database, TenantDb } from './database.ts'
import { openCall } from './open-call.ts'
import { statement } from './statement.ts'

/** What somebody may do in one project, whatever their role. */
export type ProjectGrant = { id: ProjectId; level: Level }

export type Invitation = {
  id: Id<'invitation'>
  email: string
  role: RoleName
  teams: Id<'team'>[]
  projects: ProjectGrant[]
  state: InvitationState
  invitedBy: string
  usedBy: UserId | null
  createdAt: Date
  sentAt: Date
  expiresAt: Date
}

export type NewInvitation = {
  id: Id<'invitation'>
  email: string
  role: RoleName
  teams: readonly Id<'team'>[]
  projects: readonly ProjectGrant[]
  tokenHash: string
  expiresAt: Date
}

export type InviteRefusal = 'unverified' | 'owners_only' | 'member' | 'open' | 'too_many' | 'team' | 'project'
/** What the mail says of who invites, and where to. */
export type Invited = { tenantName: string; inviter: string }

/** See app.invite. */
export const insertInvitation = (
  db: TenantDb,
  { id, email, role, teams, projects, tokenHash, expiresAt }: NewInvitation,
): Promise<Invited | { refused: InviteRefusal }> =>
  db.call(sql`app.invite(${id}, ${email}, ${role}, ${sql.param([...teams])}::text[], ${JSON.stringify(projects)}::jsonb,
    ${tokenHash}, ${expiresAt.toISOString()}::timestamptz)`)

/** See app.renew_invitation. */
export const renewInvitation = async (
  db: TenantDb,
  id: Id<'invitation'>,
  tokenHash: string,
  expiresAt: Date,
): Promise<(Invited & { email: string }) | { refused: 'unverified' | 'too_many' } | undefined> =>
  (await db.call<never>(
    sql`app.renew_invitation(${id}, ${tokenHash}, ${expiresAt.toISOString()}::timestamptz)`,
  )) ?? undefined

/** False when there is no open one of this id. */
export const revokeInvitation = (db: TenantDb, id: Id<'invitation'>): Promise<boolean> =>
  db.call(sql`app.revoke_invitation(${id})`)

const state = sql`case when used_at is not null then 'used' when revoked_at is not null and revoked_at < expires_at then 'revoked'
  when expires_at <= now() then 'expired' else 'open' end`

/** Newest first; one more than `limit` says that there are further ones. */
export async function listInvitations(
  db: TenantDb,
  filter: { id?: Id<'invitation'>; state?: InvitationState | undefined },
  before: string | undefined,
  limit: number,
): Promise<Invitation[]> {
  const [result] = await db.statements([
    statement(sql`
      select id, email, role, to_jsonb(teams) as teams, projects, ${state} as state, invited_by as "invitedBy",
        used_by as "usedBy", created_at as "createdAt", sent_at as "sentAt", expires_at as "expiresAt"
      from invitations
      where tenant_id = ${db.tenantId} and (${before ?? null}::text is null or id < ${before ?? null})
        and (${filter.id ?? null}::text is null or id = ${filter.id ?? null})
        and (${filter.state ?? null}::text is null or ${state} = ${filter.state ?? null})
      order by id desc limit ${limit + 1}`),
  ])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    createdAt: new Date(row.createdAt),
    sentAt: new Date(row.sentAt),
    expiresAt: new Date(row.expiresAt),
  }))
}

type Times = 'createdAt' | 'sentAt' | 'expiresAt'
type Row = Omit<Invitation, Times> & Record<Times, string>

export type FoundInvitation = {
  tenantId: TenantId
  tenantName: string
  email: string
  role: RoleName
  expiresAt: string
  hasAccount: boolean
}

/** The one that can be used with this token, of whichever tenant. */
export const findInvitation = async (
  database: Database,
  tokenHash: string,
): Promise<FoundInvitation | undefined> =>
  (await openCall<FoundInvitation | null>(database, sql`app.find_invitation(${tokenHash})`)) ?? undefined

export type UsedInvitation = { tenantId: TenantId; tenantName: string; email: string; role: RoleName }

/** Once; for an account, or with a password's hash for a new one. See app.use_invitation. */
export const useInvitation = async (
  database: Database,
  tokenHash: string,
  userId: UserId,
  account: { passwordHash: string; name: string | undefined } | undefined,
): Promise<UsedInvitation | { refused: 'address' | 'account' | 'quota' } | undefined> =>
  (await openCall<UsedInvitation | null>(
    database,
    sql`app.use_invitation(${tokenHash}, ${userId}, ${account?.passwordHash ?? null}, ${account?.name ?? null})`,
  )) ?? undefined
