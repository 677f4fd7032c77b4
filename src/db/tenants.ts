import { sql, type SQL } from 'drizzle-orm'
import type { TenantId } from '#src/domain/id.ts'
import type { RoleName } from '#src/domain/role.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

export type OwnTenant = {
  id: TenantId
  name: string
  role: RoleName
  joinedAt: string
  suspendedAt?: string
  deletesAt?: string
}

/** Where the caller is a member, the tenant joined first at the top. */
export const listOwnTenants = (db: TenantDb): Promise<OwnTenant[]> => db.call(sql`app.my_tenants()`)

/** False when the caller owns as many as somebody may. */
export const insertOwnTenant = (db: TenantDb, id: TenantId, name: string): Promise<boolean> =>
  db.call(sql`app.open_tenant(${id}, ${name})`)

export type TenantMove = 'suspend' | 'resume' | 'delete' | 'restore'
export type MoveRefusal = 'owners_only' | 'platform' | 'name' | 'state'

/** See app.move_tenant: `text` is the reason of a suspension, or the name of what is to be deleted at `at`. */
export const moveTenant = (
  db: TenantDb,
  to: TenantMove,
  text?: string,
  at?: Date,
): Promise<{ refused?: MoveRefusal }> =>
  db.call(sql`app.move_tenant(${to}, ${text ?? null}, ${at?.toISOString() ?? null}::timestamptz)`)

export type TenantSettings = {
  name: string
  version: number
  createdAt: string
  plan: string | null
  concurrency: number | null
  maxRunMs: number | null
  retentionDays: number | null
  logRetentionDays: number | null
  auditRetentionDays: number | null
  limits: { user?: number; apiKey?: number }
  origins: string[]
  ipAllow: string[]
  mfaRoles: string[]
  requireSso: boolean
  sessionIdleMs: number | null
  sessionMaxMs: number | null
  suspendedAt: string | null
  suspendedReason: string | null
  deletesAt: string | null
}

const columns = sql`name, version, created_at as "createdAt", plan, concurrency, max_run_ms::float8 as "maxRunMs",
  retention_days as "retentionDays", log_retention_days as "logRetentionDays", audit_retention_days as "auditRetentionDays",
  request_limits as limits, to_jsonb(origins) as origins, to_jsonb(ip_allow) as "ipAllow", to_jsonb(mfa_roles) as "mfaRoles",
  require_sso as "requireSso", (settings->>'sessionIdleMs')::float8 as "sessionIdleMs",
  (settings->>'sessionMaxMs')::float8 as "sessionMaxMs",
  suspended_at as "suspendedAt", suspended_reason as "suspendedReason", deletes_at as "deletesAt"`

async function one(db: TenantDb, query: SQL): Promise<TenantSettings | undefined> {
  const [result] = await db.statements([statement(query)])
  return result?.rows[0] as TenantSettings | undefined
}

export async function getTenantSettings(db: TenantDb): Promise<TenantSettings> {
  const found = await one(db, sql`select ${columns} from tenants where tenant_id = ${db.tenantId}`)
  if (!found) throw new Error('a tenant that signed a claim has no row')
  return found
}

/** What the tenant decides; null takes a bound away. */
export type SettingsChange = {
  name?: string | undefined
  limits?: { user?: number | undefined; apiKey?: number | undefined } | undefined
  origins?: readonly string[] | undefined
  ipAllow?: readonly string[] | undefined
  mfaRoles?: readonly string[] | undefined
  maxRunMs?: number | null | undefined
  retentionDays?: number | null | undefined
  logRetentionDays?: number | null | undefined
  auditRetentionDays?: number | null | undefined
  sessionIdleMs?: number | null | undefined
  sessionMaxMs?: number | null | undefined
}

/** What is null goes, what is undefined stays. */
function settingsChanged(given: Record<string, number | null | undefined>): SQL[] {
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  if (said.length === 0) return []
  const set = Object.fromEntries(said.filter(([, value]) => value !== null))
  const gone = said.filter(([, value]) => value === null).map(([name]) => name)
  return [sql`settings = (settings - ${sql.param(gone)}::text[]) || ${JSON.stringify(set)}::jsonb`]
}

/** Undefined when it is not in a version that the caller expects. */
export async function updateTenantSettings(
  db: TenantDb,
  expected: readonly number[] | 'any',
  change: SettingsChange,
): Promise<TenantSettings | undefined> {
  const texts = (list: readonly string[]) => sql`${sql.param([...list])}::text[]`
  const sets = [
    ...(change.name === undefined ? [] : [sql`name = ${change.name}`]),
    ...(change.limits === undefined ? [] : [sql`request_limits = ${JSON.stringify(change.limits)}::jsonb`]),
    ...(change.origins === undefined ? [] : [sql`origins = ${texts(change.origins)}`]),
    ...(change.ipAllow === undefined ? [] : [sql`ip_allow = ${texts(change.ipAllow)}`]),
    ...(change.mfaRoles === undefined ? [] : [sql`mfa_roles = ${texts(change.mfaRoles)}`]),
    ...(change.maxRunMs === undefined ? [] : [sql`max_run_ms = ${change.maxRunMs}::bigint`]),
    ...(change.retentionDays === undefined ? [] : [sql`retention_days = ${change.retentionDays}::integer`]),
    ...(change.logRetentionDays === undefined
      ? []
      : [sql`log_retention_days = ${change.logRetentionDays}::integer`]),
    ...(change.auditRetentionDays === undefined
      ? []
      : [sql`audit_retention_days = ${change.auditRetentionDays}::integer`]),
    ...settingsChanged({ sessionIdleMs: change.sessionIdleMs, sessionMaxMs: change.sessionMaxMs }),
  ]
  const versions = expected === 'any' ? null : sql.param([...expected])
  return one(
    db,
    sql`update tenants set ${sql.join(sets, sql`, `)}
      where tenant_id = ${db.tenantId} and (${versions}::int[] is null or version = any(${versions}::int[]))
      returning ${columns}`,
  )
}
