import { getApiKey } from '#src/db/api-keys.ts'
import { explainAccess, grantsOf, type Explained, type GrantedLevel } from '#src/db/grants.ts'
import {
  allowedBy,
  grantable,
  letterOf,
  type GrantKind,
  type Level,
  type ResourceId,
} from '#src/domain/access.ts'
import type { Id, UserId } from '#src/domain/id.ts'
import { isPerson } from '#src/domain/known-key.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound } from '#src/domain/problem.ts'
import { isRole, permissionsOf, permissionsOfRole, type Permission } from '#src/domain/role.ts'
import { allow, allowEverywhere, type Context } from './context.ts'

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

export type Reason =
  | { by: 'role'; role: string; words: string }
  | { by: 'grant'; grantId: Id<'grant'>; on: GrantKind; level: Level; team?: Id<'team'>; words: string }
  | { by: 'project'; projectId: string; words: string }

export type Explanation = { allowed: boolean; reasons: Reason[]; words: string }

type Question = {
  permission: Permission
  resource?: { kind: GrantKind; id: ResourceId } | undefined
}

/** Why somebody may do something, or that nothing allows it. Everybody may ask it of themselves. */
export async function explainUser(ctx: Context, userId: UserId, question: Question): Promise<Explanation> {
  if (ctx.actor.kind !== 'user' || ctx.actor.userId !== userId) allowEverywhere(ctx, 'access:read')
  const found = await findExplained(ctx, userId, question)
  const reasons = reasonsOf(ctx, found, question)
  return { allowed: reasons.length > 0, reasons, words: wordsOf(found, question, reasons) }
}

/** The same for an API key: what its scopes leave of what its owner may do. */
export async function explainKey(
  ctx: Context,
  keyId: Id<'apiKey'>,
  question: Question,
): Promise<Explanation> {
  allow(ctx, 'api-keys:read')
  allowEverywhere(ctx, 'access:read')
  const key = await getApiKey(ctx.tenantDb, keyId)
  const no = (words: string): Explanation => ({ allowed: false, reasons: [], words })
  if (!key.scopes.includes(question.permission))
    return no(`The key does not have the scope ${question.permission}.`)
  if (!isPerson(key.owner)) return no('Ask for the service account that has this key: its role decides.')
  const found = await findExplained(ctx, key.owner, question)
  const reasons = reasonsOf(ctx, found, question)
  if (key.projectId !== null && found.projectId !== key.projectId)
    return no(`The key is bound to project ${key.projectId}, and this is not in it.`)
  if (key.projectId === null || reasons.length === 0)
    return { allowed: reasons.length > 0, reasons, words: wordsOf(found, question, reasons) }
  const project: Reason = {
    by: 'project',
    projectId: key.projectId,
    words: `The key is bound to the project of it.`,
  }
  return { allowed: true, reasons: [...reasons, project], words: wordsOf(found, question, reasons) }
}

async function findExplained(
  ctx: Context,
  userId: UserId,
  { permission, resource }: Question,
): Promise<Explained> {
  const found = await explainAccess(ctx.tenantDb, userId, letterOf[permission], resource)
  if (!found) throw notFound('member')
  if (resource && !found.exists) throw notFound(resource.kind)
  return found
}

function reasonsOf(ctx: Context, { role, grants }: Explained, { permission }: Question): Reason[] {
  const byRole = permissionsOfRole(role, ctx.tenant.roles).includes(permission)
  return [
    ...(byRole
      ? [
          {
            by: 'role' as const,
            role,
            words: `The role ${isRole(role) ? role : `"${role}"`} allows it everywhere.`,
          },
        ]
      : []),
    ...grants.flatMap((grant): Reason[] =>
      grant.allows
        ? [
            {
              by: 'grant',
              grantId: grant.grantId,
              on: grant.kind,
              level: grant.level,
              ...(grant.team ? { team: grant.team } : {}),
              words: `The grant of "${grant.level}" on ${grant.kind} ${grant.id}${
                grant.team ? ` to team "${grant.teamName ?? grant.team}"` : ''
              } allows it.`,
            },
          ]
        : [],
    ),
  ]
}

function wordsOf(
  { email, role, grants }: Explained,
  { permission, resource }: Question,
  reasons: readonly Reason[],
) {
  const where = resource ? ` on ${resource.kind} ${resource.id}` : ''
  if (reasons.length > 0)
    return `${email} has ${permission}${where}: ${reasons.map(({ words }) => words).join(' ')}`
  const had = grants.map(({ level, kind, team }) => `"${level}" on the ${kind}${team ? ' by a team' : ''}`)
  const but =
    had.length > 0 ? `; what there is by grants, ${had.join(', ')}, is not enough` : ', and no grant does'
  return `${email} does not have ${permission}${where}: the role ${role} does not allow it${but}.`
}
