import { sql, type SQL } from 'drizzle-orm'
import type { Channel, ChannelKind } from '#src/domain/channel.ts'
import type { ChannelId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

const columns = sql`id, name, kind, config, secret, failure, disabled_at as "disabledAt", version,
  created_at as "createdAt", updated_at as "updatedAt"`

type Row = Omit<Channel, 'disabledAt' | 'createdAt' | 'updatedAt'> & {
  disabledAt: string | null
  createdAt: string
  updatedAt: string
}

async function ask(db: TenantDb, query: SQL): Promise<Channel[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    disabledAt: row.disabledAt === null ? null : new Date(row.disabledAt),
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
  }))
}

export async function insertChannel(
  db: TenantDb,
  channel: {
    id: ChannelId
    name: string
    kind: ChannelKind
    config: Record<string, unknown>
    secret: string | null
  },
): Promise<Channel> {
  const { id, name, kind, config, secret } = channel
  const [made] = await ask(
    db,
    sql`insert into channels (tenant_id, id, name, kind, config, secret)
      values (${db.tenantId}, ${id}, ${name}, ${kind}, ${JSON.stringify(config)}::jsonb, ${secret})
      on conflict do nothing returning ${columns}`,
  )
  if (!made) throw new Problem('conflict', `There is a channel named "${name}" already.`)
  return made
}

export async function getChannel(db: TenantDb, id: ChannelId): Promise<Channel> {
  const [found] = await ask(
    db,
    sql`select ${columns} from channels where tenant_id = ${db.tenantId} and id = ${id}`,
  )
  if (!found) throw notFound('channel')
  return found
}

export async function findChannelNamed(db: TenantDb, name: string): Promise<Channel | undefined> {
  const [found] = await ask(
    db,
    sql`select ${columns} from channels where tenant_id = ${db.tenantId} and name = ${name}`,
  )
  return found
}

export const listChannels = (db: TenantDb, after: ChannelId | undefined, limit: number): Promise<Channel[]> =>
  ask(
    db,
    sql`select ${columns} from channels
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or id > ${after ?? null})
      order by id limit ${limit + 1}`,
  )

/** Changes what is given where the version still is the one that the caller saw; a changed channel is tried again. */
export async function updateChannel(
  db: TenantDb,
  id: ChannelId,
  version: number,
  change: { name?: string; config?: Record<string, unknown>; secret?: string | null },
): Promise<Channel | undefined> {
  const { name, config, secret } = change
  const [changed] = await ask(
    db,
    sql`update channels set name = coalesce(${name ?? null}, name),
        config = coalesce(${config === undefined ? null : JSON.stringify(config)}::jsonb, config),
        secret = case when ${secret !== undefined}::boolean then ${secret ?? null} else secret end,
        failure = null, disabled_at = null, version = version + 1, updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and version = ${version}
      returning ${columns}`,
  )
  return changed
}

/** False when it is not in a version that the caller expects. */
export async function deleteChannel(
  db: TenantDb,
  id: ChannelId,
  expected: readonly number[] | 'any',
): Promise<boolean> {
  const versions = expected === 'any' ? null : sql.param([...expected])
  const [gone] = await ask(
    db,
    sql`delete from channels where tenant_id = ${db.tenantId} and id = ${id}
        and (${versions}::int[] is null or version = any(${versions}::int[]))
      returning ${columns}`,
  )
  if (!gone) await getChannel(db, id)
  return gone !== undefined
}

/** Notes how the last notice fared; one that can never arrive again disables the channel. */
export async function noteFailure(
  db: TenantDb,
  id: ChannelId,
  failure: { code: string; message: string } | null,
  disable = false,
): Promise<void> {
  const noted = failure === null ? null : JSON.stringify({ ...failure, at: new Date().toISOString() })
  await ask(
    db,
    sql`update channels set failure = ${noted}::jsonb, disabled_at = case when ${disable}::boolean then now() else disabled_at end
      where tenant_id = ${db.tenantId} and id = ${id} and (${noted}::jsonb is not null or failure is not null)
      returning ${columns}`,
  )
}
