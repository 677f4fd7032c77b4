import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm'
import type { ConnectionId, ProjectId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { connections } from './schema.ts'

export type Connection = typeof connections.$inferSelect
export type ConnectionKind = Connection['kind']

export async function insertConnection(
  db: TenantDb,
  row: {
    id: ConnectionId
    name: string
    kind: ConnectionKind
    config: Record<string, unknown>
    secret: string | null
    concurrency: number | null
    projectId: ProjectId | null
  },
): Promise<Connection> {
  const [[made]] = await db.run(
    db.sql
      .insert(connections)
      .values({ tenantId: db.tenantId, ...row })
      .onConflictDoNothing()
      .returning(),
  )
  if (!made) throw new Problem('conflict', `There is a connection named "${row.name}" already.`)
  return made
}

export async function findConnection(db: TenantDb, id: ConnectionId): Promise<Connection | undefined> {
  const [[found]] = await db.run(
    db.sql
      .select()
      .from(connections)
      .where(and(eq(connections.tenantId, db.tenantId), eq(connections.id, id))),
  )
  return found
}

export async function getConnection(db: TenantDb, id: ConnectionId): Promise<Connection> {
  const found = await findConnection(db, id)
  if (!found) throw notFound('connection')
  return found
}

export async function findConnectionNamed(db: TenantDb, name: string): Promise<Connection | undefined> {
  const [[found]] = await db.run(
    db.sql
      .select()
      .from(connections)
      .where(and(eq(connections.tenantId, db.tenantId), eq(connections.name, name))),
  )
  return found
}

export async function listConnections(
  db: TenantDb,
  after: ConnectionId | undefined,
  limit: number,
  projectId?: ProjectId,
): Promise<Connection[]> {
  const [rows] = await db.run(
    db.sql
      .select()
      .from(connections)
      .where(
        and(
          eq(connections.tenantId, db.tenantId),
          after ? gt(connections.id, after) : undefined,
          projectId ? eq(connections.projectId, projectId) : undefined,
        ),
      )
      .orderBy(asc(connections.id))
      .limit(limit + 1),
  )
  return rows
}

/** The pipelines whose current version reads or writes the connection, by their names. */
const users = (db: TenantDb, id: ConnectionId) => sql`
  select p.name from connections c
  join pipelines p on p.tenant_id = c.tenant_id and p.deleted_at is null
  join pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id and v.version = p.current_version
  where c.tenant_id = ${db.tenantId} and c.id = ${id}
    and jsonb_path_exists(v.definition, '$.steps[*].*.connection ? (@ == $name)', jsonb_build_object('name', c.name))`

/** What is named in the refusal; the others come to light when these are gone. */
const mostNamed = 5

const usersOf = (db: TenantDb, id: ConnectionId) =>
  db.sql.execute(sql`select name from (${users(db, id)}) u order by name limit ${mostNamed}`)

function refuseUsed(what: string, rows: readonly Record<string, unknown>[]): void {
  if (rows.length === 0) return
  const names = rows.map((row) => `"${String(row['name'])}"`).join(', ')
  throw new Problem(
    'conflict',
    `Pipelines use this connection: ${names}. It cannot be ${what} until they do not.`,
  )
}

/** Where the row still is one that the caller has seen. */
const seen = (versions: readonly number[] | 'any') =>
  versions === 'any' ? undefined : inArray(connections.version, [...versions])

/** Changes what is given where the version still is the one that the caller saw. Pipelines know it by its name. */
export async function updateConnection(
  db: TenantDb,
  id: ConnectionId,
  version: number,
  change: {
    name?: string
    config?: Record<string, unknown>
    secret?: string | null
    concurrency?: number | null
  },
): Promise<Connection | undefined> {
  const isFree =
    change.name === undefined
      ? sql`true`
      : sql`(${connections.name} = ${change.name} or not exists (${users(db, id)}))`
  const [using, [changed]] = await db.run(
    usersOf(db, id),
    db.sql
      .update(connections)
      .set({ ...change, version: sql`${connections.version} + 1`, updatedAt: sql`now()` })
      .where(
        and(
          eq(connections.tenantId, db.tenantId),
          eq(connections.id, id),
          eq(connections.version, version),
          isFree,
        ),
      )
      .returning(),
  )
  if (!changed && change.name !== undefined) refuseUsed('renamed', using.rows)
  return changed
}

/** Deletes the connection where no pipeline uses it and it still is in a version that the caller expects. */
export async function deleteConnection(
  db: TenantDb,
  id: ConnectionId,
  expected: readonly number[] | 'any',
): Promise<'deleted' | 'changed'> {
  const one = and(eq(connections.tenantId, db.tenantId), eq(connections.id, id))
  const [using, [gone], [left]] = await db.run(
    usersOf(db, id),
    db.sql
      .delete(connections)
      .where(and(one, seen(expected), sql`not exists (${users(db, id)})`))
      .returning({ id: connections.id }),
    db.sql.select({ version: connections.version }).from(connections).where(one),
  )
  if (gone) return 'deleted'
  if (!left) throw notFound('connection')
  if (expected !== 'any' && !expected.includes(left.version)) return 'changed'
  refuseUsed('deleted', using.rows)
  return 'changed'
}
