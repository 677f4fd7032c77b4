import {
  deleteGrant as deleteGrantRow,
  getGrant,
  listGrants,
  saveGrant,
  type Grant,
  type GrantFilter,
} from '#src/db/grants.ts'
import { allowedBy, otherWay, type Level } from '#src/domain/access.ts'
import { newId, type Id } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound } from '#src/domain/problem.ts'
import { can } from '#src/domain/role.ts'
import { allow, forbidden, type Context } from './context.ts'

/** All grants for those who may see who may do what; for others those on what they manage. */
export async function readGrants(ctx: Context, filter: GrantFilter, page: PageRequest): Promise<Page<Grant>> {
  allowReading(ctx)
  const found = await listGrants(ctx.tenantDb, filter, page.after?.[0], page.limit)
  return toPage(found, page.limit, ({ id }) => [id])
}

export async function readGrant(ctx: Context, id: Id<'grant'>): Promise<Grant> {
  allowReading(ctx)
  return getGrant(ctx.tenantDb, id)
}

function allowReading(ctx: Context): void {
  if (!can(ctx.actor, 'access:read') && otherWay(ctx.actor, 'access:write') !== 'grant')
    throw forbidden('access:read')
}

/** Gives a level on a resource, in place of the one that the subject had there. Nobody gives what they do not have there. */
export async function giveGrant(
  ctx: Context,
  input: { subject: Grant['subject']; resource: Grant['resource']; level: Level },
): Promise<Grant> {
  allowGiving(ctx, input.resource, input.level)
  return saveGrant(ctx.tenantDb, { id: newId('grant', ctx.now()), ...input })
}

/** Who may manage a resource may change any grant on it, but to a level that they have themselves. */
export async function changeGrant(ctx: Context, id: Id<'grant'>, level: Level): Promise<Grant> {
  const { subject, resource } = await readGrant(ctx, id)
  allowGiving(ctx, resource, level)
  return saveGrant(ctx.tenantDb, { id, subject, resource, level })
}

/** Holds from the next statement on: policies ask for the grant, nothing remembers it. */
export async function takeGrant(ctx: Context, id: Id<'grant'>): Promise<void> {
  const { resource } = await readGrant(ctx, id)
  allow(ctx, 'access:write', resource)
  if (!(await deleteGrantRow(ctx.tenantDb, id))) throw notFound('grant')
}

function allowGiving(ctx: Context, resource: Grant['resource'], level: Level): void {
  allow(ctx, 'access:write', resource)
  for (const one of allowedBy(resource.kind, level)) allow(ctx, one, resource)
}
