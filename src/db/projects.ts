import { sql, type SQL } from 'drizzle-orm'
import type { GrantKind } from '#src/domain/access.ts'
import type { ProjectId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'
import { statement } from './statement.ts'

export type Project = {
  id: ProjectId
  name: string
  description: string | null
  createdBy: string
  createdAt: Date
  updatedAt: Date
  archivedAt: Date | null
}

/** What is left out stays as it is. */
export type ProjectChange = {
  name?: string | undefined
  description?: string | null | undefined
  archived?: boolean | undefined
}

const columns = sql`id, name, description, created_by as "createdBy", created_at as "createdAt", updated_at as "updatedAt",
  archived_at as "archivedAt"`

type Row = Omit<Project, 'createdAt' | 'updatedAt' | 'archivedAt'> & {
  createdAt: string
  updatedAt: string
  archivedAt: string | null
}

async function ask(db: TenantDb, query: SQL): Promise<Project[]> {
  const [result] = await db.statements([statement(query)])
  return ((result?.rows ?? []) as Row[]).map((row) => ({
    ...row,
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
    archivedAt: row.archivedAt === null ? null : new Date(row.archivedAt),
  }))
}

const taken = (name: string) => new Problem('conflict', `There is a project named "${name}" already.`)

export async function insertProject(
  db: TenantDb,
  { id, name, description }: { id: ProjectId; name: string; description: string | null },
): Promise<Project> {
  const [made] = await ask(
    db,
    sql`insert into projects (tenant_id, id, name, description) values (${db.tenantId}, ${id}, ${name}, ${description})
      on conflict do nothing returning ${columns}`,
  )
  if (!made) throw taken(name)
  return made
}

export async function getProject(db: TenantDb, id: ProjectId): Promise<Project> {
  const [found] = await ask(
    db,
    sql`select ${columns} from projects where tenant_id = ${db.tenantId} and id = ${id}`,
  )
  if (!found) throw notFound('project')
  return found
}

/** In the order of their ids; one more than `limit` says that there are further ones. */
export const listProjects = (
  db: TenantDb,
  filter: { archived?: boolean | undefined },
  after: string | undefined,
  limit: number,
): Promise<Project[]> =>
  ask(
    db,
    sql`select ${columns} from projects
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or id > ${after ?? null})
        and (${filter.archived ?? null}::boolean is null or (archived_at is not null) = ${filter.archived ?? null}::boolean)
      order by id limit ${limit + 1}`,
  )

export async function updateProject(db: TenantDb, id: ProjectId, change: ProjectChange): Promise<Project> {
  const { name, description, archived } = change
  const [changed] = await ask(
    db,
    sql`update projects set name = coalesce(${name ?? null}, name),
        description = case when ${description !== undefined}::boolean then ${description ?? null} else description end,
        archived_at = case ${archived ?? null}::boolean when true then coalesce(archived_at, now()) when false then null
          else archived_at end,
        updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} returning ${columns}`,
  )
  if (!changed) throw notFound('project')
  return changed
}

/** Deletes a project that nothing is in. */
export async function deleteProject(db: TenantDb, id: ProjectId): Promise<void> {
  const one = sql`tenant_id = ${db.tenantId} and project_id = ${id}`
  const [gone] = await ask(
    db,
    sql`delete from projects where tenant_id = ${db.tenantId} and id = ${id}
        and not exists (select from pipelines where ${one}) and not exists (select from connections where ${one})
        and not exists (select from datasets where ${one})
      returning ${columns}`,
  )
  if (gone) return
  await getProject(db, id)
  throw new Problem('conflict', 'There still are resources in this project; move them, or archive it.')
}

const tables = {
  pipeline: sql`pipelines`,
  connection: sql`connections`,
  dataset: sql`datasets`,
} as const satisfies Record<Exclude<GrantKind, 'project'>, SQL>
export type Movable = keyof typeof tables
export const movables = Object.keys(tables) as [Movable, ...Movable[]]

/** Puts a resource into a project that is in use, or with null into none; false when there is no such resource to be changed. */
export async function moveResource(
  db: TenantDb,
  kind: Movable,
  id: string,
  to: ProjectId | null,
): Promise<boolean> {
  const [result] = await db.statements([
    statement(sql`
      update ${tables[kind]} set project_id = ${to}
      where tenant_id = ${db.tenantId} and id = ${id} and (${to}::text is null or exists (
        select from projects p where p.tenant_id = ${db.tenantId} and p.id = ${to} and p.archived_at is null))
      returning id`),
  ])
  return (result?.rows.length ?? 0) > 0
}

export type ProjectResource = { kind: Movable; id: string; name: string }

/** What is in the project, as far as the caller may see it. */
export async function listProjectResources(db: TenantDb, id: ProjectId): Promise<ProjectResource[]> {
  const parts = movables.map(
    (kind) =>
      sql`select ${kind}::text as kind, id, name from ${tables[kind]} where tenant_id = ${db.tenantId} and project_id = ${id}`,
  )
  const [result] = await db.statements([
    statement(sql`select * from (${sql.join(parts, sql` union all `)}) r order by kind, name limit 1000`),
  ])
  return (result?.rows ?? []) as ProjectResource[]
}
