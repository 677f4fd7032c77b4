import { getApiKey, type ApiKey } from '#src/db/api-keys.ts'
import { explainAccess, type Explained } from '#src/db/grants.ts'
import { getServiceAccount } from '#src/db/service-accounts.ts'
import { readQuotas } from '#src/db/usage.ts'
import { letterOf } from '#src/domain/access.ts'
import { explain, type Explanation, type Question, type Settled, type Subject } from '#src/domain/explain.ts'
import type { Id, UserId } from '#src/domain/id.ts'
import { isPerson } from '#src/domain/known-key.ts'
import { notFound } from '#src/domain/problem.ts'
import { allow, allowEverywhere, type Context } from './context.ts'

/** Why somebody may do something, or what is missing. Everybody may ask it of themselves. */
export async function explainUser(ctx: Context, userId: UserId, question: Question): Promise<Explanation> {
  if (!isSelf(ctx, userId)) allowEverywhere(ctx, 'access:read')
  const found = await explained(ctx, userId, question)
  const { email, role } = found
  if (email === null || role === null) throw notFound('member')
  return explain(question, { ...subjectOf(found), name: email, role, kind: 'member' }, await settled(ctx))
}

/** The same for an API key: what its scopes, its project and its addresses leave of what its owner may do. */
export async function explainKey(
  ctx: Context,
  keyId: Id<'apiKey'>,
  question: Question,
): Promise<Explanation> {
  if (ctx.actor.kind !== 'user') allowAll(ctx)
  const key = await getApiKey(ctx.tenantDb, keyId)
  if (isPerson(key.owner)) {
    if (!isSelf(ctx, key.owner)) allowAll(ctx)
    const found = await explained(ctx, key.owner, question)
    const { email, role } = found
    if (email === null || role === null) throw notFound('member')
    const subject: Subject = {
      ...subjectOf(found),
      name: email,
      role,
      kind: 'member',
      key: keyOf(ctx, key, false),
    }
    return explain(question, subject, await settled(ctx))
  }
  allowAll(ctx)
  const { name, role, disabledAt } = await getServiceAccount(ctx.tenantDb, key.owner)
  const found = await explained(ctx, null, question)
  const subject: Subject = {
    ...subjectOf(found),
    name: `service account "${name}"`,
    role,
    roleName: found.roleNames[role],
    kind: 'service account',
    key: keyOf(ctx, key, disabledAt !== null),
  }
  return explain(question, subject, await settled(ctx))
}

function allowAll(ctx: Context): void {
  allow(ctx, 'api-keys:read')
  allowEverywhere(ctx, 'access:read')
}

const isSelf = ({ actor }: Context, userId: UserId): boolean =>
  actor.kind === 'user' && actor.userId === userId

const keyOf = (
  ctx: Context,
  { scopes, projectId, ipAllow, expiresAt }: ApiKey,
  isDisabled: boolean,
): NonNullable<Subject['key']> => ({
  scopes,
  projectId,
  ipAllow,
  isExpired: expiresAt !== null && new Date(expiresAt) <= ctx.now(),
  isDisabled,
})

const subjectOf = (found: Explained) => ({
  roleName: found.role === null ? undefined : found.roleNames[found.role],
  grants: found.grants,
  resourceProject: found.projectId,
  hasFactor: found.hasFactor,
})

async function explained(ctx: Context, userId: UserId | null, question: Question): Promise<Explained> {
  const { permission, resource } = question
  const found = await explainAccess(ctx.tenantDb, userId, letterOf[permission], resource)
  if (!found) throw notFound('member')
  if (resource && !found.exists) throw notFound(resource.kind)
  return found
}

async function settled({ tenant, tenantDb }: Context): Promise<Settled> {
  const spent = (await readQuotas(tenantDb)).flatMap(({ name, used, limit }) =>
    limit !== undefined && used >= limit ? [name] : [],
  )
  return { ...tenant, spent }
}
