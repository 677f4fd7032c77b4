import {
  deleteProject as deleteProjectRow,
  getProject,
  insertProject,
  listProjectResources,
  listProjects,
  moveResource as moveResourceRow,
  updateProject as updateProjectRow,
  type Movable,
  type Project,
  type ProjectChange,
  type ProjectResource,
} from '#src/db/projects.ts'
import { newId, type ProjectId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { Permission } from '#src/domain/role.ts'
import { allow, type Context } from './context.ts'

export async function createProject(
  ctx: Context,
  { name, description }: { name: string; description?: string | undefined },
): Promise<Project> {
  allow(ctx, 'projects:write')
  const id = newId('project', ctx.now())
  return insertProject(ctx.tenantDb, { id, name, description: description ?? null })
}

export async function readProjects(
  ctx: Context,
  filter: { archived?: boolean | undefined },
  { after, limit }: PageRequest,
): Promise<Page<Project>> {
  allow(ctx, 'projects:read')
  return toPage(await listProjects(ctx.tenantDb, filter, after?.[0], limit), limit, ({ id }) => [id])
}

export async function readProject(ctx: Context, id: ProjectId): Promise<Project> {
  allow(ctx, 'projects:read', { kind: 'project', id })
  return getProject(ctx.tenantDb, id)
}

export async function updateProject(ctx: Context, id: ProjectId, change: ProjectChange): Promise<Project> {
  allow(ctx, 'projects:write', { kind: 'project', id })
  return updateProjectRow(ctx.tenantDb, id, change)
}

export async function deleteProject(ctx: Context, id: ProjectId): Promise<void> {
  allow(ctx, 'projects:write', { kind: 'project', id })
  await deleteProjectRow(ctx.tenantDb, id)
}

export async function readProjectResources(ctx: Context, id: ProjectId): Promise<ProjectResource[]> {
  allow(ctx, 'projects:read', { kind: 'project', id })
  return listProjectResources(ctx.tenantDb, id)
}

const writing = {
  pipeline: 'pipelines:write',
  connection: 'connections:write',
  dataset: 'datasets:write',
} as const satisfies Record<Movable, Permission>

/**
 * Puts a resource into a project, or with null into none. Whoever does so must be allowed to write there and where it was:
 * the database says so, see app.guard_project.
 */
export async function moveResource(
  ctx: Context,
  { kind, id, to }: { kind: Movable; id: string; to: ProjectId | null },
): Promise<void> {
  allow(ctx, writing[kind], { kind, id })
  if (await moveResourceRow(ctx.tenantDb, kind, id, to)) return
  if (to === null) throw notFound(kind)
  const project = await getProject(ctx.tenantDb, to)
  if (project.archivedAt) throw new Problem('conflict', `Project "${project.name}" is archived.`)
  throw notFound(kind)
}
