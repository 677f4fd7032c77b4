import { grantsOf, type GrantedLevel } from '#src/db/grants.ts'
import { allowedBy, grantable, type GrantKind, type Level, type ResourceId } from '#src/domain/access.ts'
import type { UserId } from '#src/domain/id.ts'
import { isPerson } from '#src/domain/known-key.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { permissionsOf, type Permission } from '#src/domain/role.ts'
import type { Context } from './context.ts'

export type OnResource = {
  resource: { kind: GrantKind; id: ResourceId }
  level: Level
  permissions: Permission[]
}

/** Everything that the caller may do: everywhere, in the one project of a key, and page by page by grants. */
export async function readOwnPermissions(
  ctx: Context,
  page: PageRequest,
): Promise<{
  permissions: Permission[]
  project?: { id: string; permissions: Permission[] }
  granted: Page<OnResource>
}> {
  const { actor } = ctx
  const permissions = permissionsOf(actor)
  if (actor.kind === 'api-key' && actor.projectId !== undefined) {
    const inProject = new Set(allowedBy('project', 'edit'))
    const project = { id: actor.projectId, permissions: actor.scopes.filter((one) => inProject.has(one)) }
    return { permissions, project, granted: { items: [] } }
  }
  const who = actor.kind === 'user' ? actor.userId : personOf(actor)
  if (who === undefined) return { permissions, granted: { items: [] } }
  const most = actor.kind === 'api-key' ? new Set(actor.asked) : grantable
  const found = await grantsOf(ctx.tenantDb, who, page.after?.[0], page.limit)
  const { items, ...rest } = toPage(found, page.limit, ({ grantId }) => [grantId])
  return { permissions, granted: { ...rest, items: items.map((one) => onResource(one, most)) } }
}

const personOf = (actor: Context['actor']): UserId | undefined =>
  actor.kind === 'api-key' && actor.owner !== undefined && isPerson(actor.owner) ? actor.owner : undefined

const onResource = ({ kind, id, level }: GrantedLevel, most: ReadonlySet<Permission>): OnResource => ({
  resource: { kind, id },
  level,
  permissions: allowedBy(kind, level).filter((one) => most.has(one)),
})
