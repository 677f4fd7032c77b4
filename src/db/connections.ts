import { and, asc, eq, gt, sql } from 'drizzle-orm'
import type { ConnectionId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { connections } from './schema.ts'

export type Connection = typeof connections.$inferSelect
export type ConnectionKind = Connection['kind']

export async function insertConnection(
  db: TenantDb,
  row: { id: ConnectionId; name: string; kind: ConnectionKind; config: Record<string, unknown>; secret: string | null },
): Promise<Connection> {
  const [[made]] = await db.run(
    db.sql.insert(connections).values({ tenantId: db.tenantId, ...row }).onConflictDoNothing().returning(),
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

export async function listConnections(db: TenantDb, after: ConnectionId | undefined, limit: number): Promise<Connection[]> {
  const [rows] = await db.run(
    db.sql
      .select()
      .from(connections)
      .where(and(eq(connections.tenantId, db.tenantId), after ? gt(connections.id, after) : undefined))
      .orderBy(asc(connections.id))
      .limit(limit + 1),
  )
  return rows
}

/** Changes what is given where the version still is the one that the caller saw. */
export async function updateConnection(
  db: TenantDb,
  id: ConnectionId,
  version: number,
  change: { name?: string; config?: Record<string, unknown>; secret?: string },
): Promise<Connection | undefined> {
  const [[changed]] = await db.run(
    db.sql
      .update(connections)
      .set({ ...change, version: sql`${connections.version} + 1`, updatedAt: sql`now()` })
      .where(and(eq(connections.tenantId, db.tenantId), eq(connections.id, id), eq(connections.version, version)))
      .returning(),
  )
  return changed
}

export async function deleteConnection(db: TenantDb, id: ConnectionId): Promise<void> {
  const [[gone]] = await db.run(
    db.sql
      .delete(connections)
      .where(and(eq(connections.tenantId, db.tenantId), eq(connections.id, id)))
      .returning({ id: connections.id }),
  )
  if (!gone) throw notFound('connection')
}
