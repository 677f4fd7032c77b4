import { sql, type SQL } from 'drizzle-orm'
import type { IntegrationKind } from '#src/domain/integration.ts'
import { notFound } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

/** `secret` is sealed, and belongs to `integration:<kind>`. */
export type Integration = {
  kind: IntegrationKind
  address: string
  options: Record<string, unknown>
  secret: string | null
  version: number
  updatedAt: Date
}

const columns = sql`kind, address, options, secret, version, updated_at as "updatedAt"`

async function ask(db: TenantDb, query: SQL): Promise<Integration[]> {
  const [result] = await db.statements([statement(query)])
  return (result?.rows ?? []).map((row) => ({
    ...(row as Omit<Integration, 'updatedAt'>),
    updatedAt: new Date(String(row['updatedAt'])),
  }))
}

export const listIntegrations = (db: TenantDb): Promise<Integration[]> =>
  ask(db, sql`select ${columns} from integrations where tenant_id = ${db.tenantId} order by kind`)

export async function getIntegration(db: TenantDb, kind: IntegrationKind): Promise<Integration> {
  const [found] = await ask(
    db,
    sql`select ${columns} from integrations where tenant_id = ${db.tenantId} and kind = ${kind}`,
  )
  if (!found) throw notFound('integration')
  return found
}

export async function putIntegration(
  db: TenantDb,
  { kind, address, options, secret }: Pick<Integration, 'kind' | 'address' | 'options'> & { secret: string },
): Promise<Integration> {
  const [put] = await ask(
    db,
    sql`insert into integrations (tenant_id, kind, address, options, secret)
      values (${db.tenantId}, ${kind}, ${address}, ${JSON.stringify(options)}::jsonb, ${secret})
      on conflict (tenant_id, kind) do update set address = excluded.address, options = excluded.options,
        secret = excluded.secret, version = integrations.version + 1, updated_at = now()
      returning ${columns}`,
  )
  if (!put) throw notFound('integration')
  return put
}

export async function deleteIntegration(db: TenantDb, kind: IntegrationKind): Promise<void> {
  const [gone] = await ask(
    db,
    sql`delete from integrations where tenant_id = ${db.tenantId} and kind = ${kind} returning ${columns}`,
  )
  if (!gone) throw notFound('integration')
}
