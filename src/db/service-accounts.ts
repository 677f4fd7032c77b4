import { sql } from 'drizzle-orm'
import type { Id } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

export type ServiceAccount = {
  id: Id<'serviceAccount'>
  name: string
  role: string
  disabledAt: string | null
  createdBy: string
  createdAt: string
  updatedAt: string
}

const shown =
  sql.raw(`id, name, role, disabled_at as "disabledAt", created_by as "createdBy", created_at as "createdAt",
  updated_at as "updatedAt"`)
const nameTaken = (name: string) =>
  new Problem('conflict', `There is a service account named "${name}" already.`)

export async function insertServiceAccount(
  tdb: TenantDb,
  made: { id: Id<'serviceAccount'>; name: string; role: string; createdBy: string },
): Promise<ServiceAccount> {
  const [inserted] = await tdb.statements([
    statement(sql`
      insert into service_accounts (tenant_id, id, name, role, created_by)
      values (${tdb.tenantId}, ${made.id}, ${made.name}, ${made.role}, ${made.createdBy})
      on conflict do nothing returning ${shown}`),
  ])
  const [row] = (inserted?.rows ?? []) as ServiceAccount[]
  if (!row) throw nameTaken(made.name)
  return row
}

export async function listServiceAccounts(
  tdb: TenantDb,
  { limit, after }: PageRequest,
): Promise<Page<ServiceAccount>> {
  const [found] = await tdb.statements([
    statement(sql`
      select ${shown} from service_accounts
      where tenant_id = ${tdb.tenantId} and (${after?.[0] ?? null}::text is null or id < ${after?.[0] ?? null})
      order by id desc limit ${limit + 1}`),
  ])
  return toPage((found?.rows ?? []) as ServiceAccount[], limit, (row) => [row.id])
}

export async function getServiceAccount(tdb: TenantDb, id: Id<'serviceAccount'>): Promise<ServiceAccount> {
  const [found] = await tdb.statements([
    statement(sql`select ${shown} from service_accounts where tenant_id = ${tdb.tenantId} and id = ${id}`),
  ])
  const [row] = (found?.rows ?? []) as ServiceAccount[]
  if (!row) throw notFound('service account')
  return row
}

export type ServiceAccountChange = {
  name?: string | undefined
  role?: string | undefined
  disabled?: boolean | undefined
}

/** Changes an account, and gives the hashes of its keys, for what is known of them elsewhere is no longer so. */
export async function updateServiceAccount(
  tdb: TenantDb,
  id: Id<'serviceAccount'>,
  { name, role, disabled }: ServiceAccountChange,
): Promise<{ account: ServiceAccount; hashes: string[] }> {
  const disabledAt =
    disabled === undefined
      ? sql`disabled_at`
      : disabled
        ? sql`coalesce(disabled_at, clock_timestamp())`
        : sql`null`
  const [changed, keys] = await tdb.statements([
    statement(sql`
      update service_accounts a
      set name = coalesce(${name ?? null}, a.name), role = coalesce(${role ?? null}, a.role), disabled_at = ${disabledAt},
        updated_at = clock_timestamp()
      where a.tenant_id = ${tdb.tenantId} and a.id = ${id} and not exists (
        select from service_accounts o where o.tenant_id = a.tenant_id and o.name = ${name ?? null} and o.id <> a.id)
      returning ${shown}`),
    statement(sql`
      select key_hash as hash from api_keys
      where tenant_id = ${tdb.tenantId} and service_account_id = ${id} and revoked_at is null`),
  ])
  const [account] = (changed?.rows ?? []) as ServiceAccount[]
  if (!account) {
    await getServiceAccount(tdb, id)
    throw nameTaken(name ?? '')
  }
  return { account, hashes: (keys?.rows ?? []).map((row) => String(row['hash'])) }
}

/** Takes the account away with its keys; gives the hashes of those. */
export async function deleteServiceAccount(tdb: TenantDb, id: Id<'serviceAccount'>): Promise<string[]> {
  const [keys, gone] = await tdb.statements([
    statement(sql`
      update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp())
      where tenant_id = ${tdb.tenantId} and service_account_id = ${id} returning key_hash as hash`),
    statement(sql`
      delete from service_accounts where tenant_id = ${tdb.tenantId} and id = ${id} returning id`),
  ])
  if (gone?.rows.length !== 1) throw notFound('service account')
  return (keys?.rows ?? []).map((row) => String(row['hash']))
}
