import { sql } from 'drizzle-orm'
import type { GrantKind, Level, ResourceId } from '#src/domain/access.ts'
import type { Id, UserId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { sqlStateOf } from './failure.ts'
import { statement } from './statement.ts'

export type SubjectId = UserId | Id<'team'>
export type Grant = {
  id: Id<'grant'>
  subject: { kind: 'user' | 'team'; id: SubjectId }
  resource: { kind: GrantKind; id: ResourceId }
  level: Level
  createdBy: string
  createdAt: Date
  updatedAt: Date
}

type Row = {
  id: Id<'grant'>
  user_id: string | null
  subject_id: SubjectId
  resource_kind: GrantKind
  resource_id: ResourceId
  level: Level
  created_by: string
  created_at: string
  updated_at: string
}

const grantOf = (row: Row): Grant => ({
  id: row.id,
  subject: { kind: row.user_id === null ? 'team' : 'user', id: row.subject_id },
  resource: { kind: row.resource_kind, id: row.resource_id },
  level: row.level,
  createdBy: row.created_by,
  createdAt: new Date(row.created_at),
  updatedAt: new Date(row.updated_at),
})

const columns = sql`id, user_id, subject_id, resource_kind, resource_id, level, created_by, created_at, updated_at`

export type GrantFilter = { subject?: SubjectId | undefined; resource?: ResourceId | undefined }

/** Newest first; one more than `limit` says that there are further ones. */
export async function listGrants(
  db: TenantDb,
  { subject, resource }: GrantFilter,
  before: string | undefined,
  limit: number,
): Promise<Grant[]> {
  const wanted = [
    sql`tenant_id = ${db.tenantId}`,
    ...(subject === undefined ? [] : [sql`subject_id = ${subject}`]),
    ...(resource === undefined ? [] : [sql`resource_id = ${resource}`]),
    ...(before === undefined ? [] : [sql`id < ${before}`]),
  ]
  const [result] = await db.statements([
    statement(
      sql`select ${columns} from grants where ${sql.join(wanted, sql` and `)} order by id desc limit ${limit + 1}`,
    ),
  ])
  return ((result?.rows ?? []) as Row[]).map(grantOf)
}

export async function getGrant(db: TenantDb, id: Id<'grant'>): Promise<Grant> {
  const [result] = await db.statements([
    statement(sql`select ${columns} from grants where tenant_id = ${db.tenantId} and id = ${id}`),
  ])
  const [row] = (result?.rows ?? []) as Row[]
  if (!row) throw notFound('grant')
  return grantOf(row)
}

/**
 * Gives the subject this level on the resource, whatever it had there before. Foreign keys refuse a subject or a resource
 * that is not the tenant's own.
 */
export async function saveGrant(
  db: TenantDb,
  grant: { id: Id<'grant'>; subject: Grant['subject']; resource: Grant['resource']; level: Level },
): Promise<Grant> {
  const { id, subject, resource, level } = grant
  try {
    const [result] = await db.statements([
      statement(sql`
        insert into grants (tenant_id, id, ${sql.identifier(`${subject.kind}_id`)}, ${sql.identifier(`${resource.kind}_id`)}, level)
        values (${db.tenantId}, ${id}, ${subject.id}, ${resource.id}, ${level})
        on conflict (tenant_id, subject_id, resource_id) do update set level = excluded.level, updated_at = now()
        returning ${columns}`),
    ])
    const [row] = (result?.rows ?? []) as Row[]
    if (!row) throw new Error('a grant was neither made nor changed')
    return grantOf(row)
  } catch (error) {
    if (sqlStateOf(error) !== '23503') throw error
    throw new Problem('not_found', `There is no such ${subject.kind}, or no such ${resource.kind}.`, {
      cause: error,
    })
  }
}

/** What it was; undefined when it is gone already. */
export async function deleteGrant(db: TenantDb, id: Id<'grant'>): Promise<Grant | undefined> {
  const [result] = await db.statements([
    statement(sql`delete from grants where tenant_id = ${db.tenantId} and id = ${id} returning ${columns}`),
  ])
  const [row] = (result?.rows ?? []) as Row[]
  return row && grantOf(row)
}

export type GrantedLevel = {
  grantId: Id<'grant'>
  kind: GrantKind
  id: ResourceId
  level: Level
  team?: Id<'team'>
}

/** What grants give a user, by their teams too, in the order of the resources; one more than `limit` when there is more. */
export const grantsOf = async (
  db: TenantDb,
  userId: UserId,
  after: string | undefined,
  limit: number,
): Promise<GrantedLevel[]> => db.call(sql`app.grants_of(${userId}, ${after ?? ''}, ${limit + 1})`)

export type Explained = {
  /** Null without a member, of a service account. */
  email: string | null
  role: string | null
  /** Of the tenant's own roles. */
  roleNames: Record<string, string>
  hasFactor: boolean
  /** Those on the resource or its project that the user has, by themselves or by a team. */
  grants: (GrantedLevel & { teamName?: string; allows: boolean })[]
  projectId: string | null
  exists: boolean
}

/** What the answer to "why can X do Y" is made of; null when there is no such member. Without a user, of the resource alone. */
export const explainAccess = (
  db: TenantDb,
  userId: UserId | null,
  letter: string,
  resource: { kind: GrantKind; id: ResourceId } | undefined,
): Promise<Explained | null> =>
  db.call(sql`app.explain_access(${userId}, ${letter}, ${resource?.kind ?? null}, ${resource?.id ?? null})`)
