import { cacheSessionEnds } from '#src/cache/sessions.ts'
import { sqlStateOf } from '#src/db/failure.ts'
import {
  createScimUser,
  deleteScimUser,
  findScimUser,
  listScimUsers,
  updateScimUser,
  type MemberChange,
  type UserOutcome,
} from '#src/db/scim-users.ts'
import { newId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { RoleName } from '#src/domain/role.ts'
import { ScimProblem, type ScimPage, type ScimUser, type ScimUserWrite } from '#src/domain/scim.ts'
import { allow, type Context } from '../context.ts'
import { markMember } from '../members.ts'
import { parseFilter } from './filter.ts'
import { operationsOf, patchedUser } from './patch.ts'
import { userOf, writableOf } from './user-resource.ts'

type Versions = readonly number[] | 'any'

/** Provisioning is for the identity provider, which shows an API key; people have the API. */
export function allowScim(ctx: Context): void {
  allow(ctx, 'scim:write')
  if (ctx.actor.kind !== 'api-key') throw new Problem('forbidden', 'SCIM needs an API key with scim:write.')
}

export async function readUsers(
  ctx: Context,
  filter: string | undefined,
  page: ScimPage,
): Promise<{ total: number; items: ScimUser[] }> {
  allowScim(ctx)
  return listScimUsers(ctx.tenantDb, await parseFilter(filter), page)
}

export async function readUser(ctx: Context, id: string): Promise<ScimUser> {
  allowScim(ctx)
  const user = await findScimUser(ctx.tenantDb, id)
  if (!user) throw notFound('user')
  return user
}

export async function createUser(ctx: Context, body: Readonly<Record<string, unknown>>): Promise<ScimUser> {
  allowScim(ctx)
  const user = userOf(body, true)
  const made = await createScimUser(ctx.tenantDb, newId('user', ctx.now()), user)
  if (made.outcome !== 'made') throw refusals[made.outcome]()
  await cacheSessionEnds(ctx.services.cache, made.ended)
  await markChanges(ctx, made.changes)
  return readUser(ctx, made.userId)
}

export async function replaceUser(
  ctx: Context,
  id: string,
  versions: Versions,
  body: Readonly<Record<string, unknown>>,
): Promise<ScimUser> {
  const current = await readUser(ctx, id)
  return written(ctx, id, versions, userOf(body, current.active))
}

/** Reads, changes and writes the version that was read; whoever did not say which version they mean is tried again. */
export async function patchUser(
  ctx: Context,
  id: string,
  versions: Versions,
  body: unknown,
): Promise<ScimUser> {
  const operations = operationsOf(body)
  for (let tries = 0; ; tries++) {
    const current = await readUser(ctx, id)
    if (versions !== 'any' && !versions.includes(current.version)) throw refusals.stale()
    const user = userOf(await patchedUser(writableOf(current), operations), current.active)
    try {
      return await written(ctx, id, [current.version], user)
    } catch (error) {
      const isStale = error instanceof Problem && error.code === 'precondition_failed'
      if (!isStale || versions !== 'any' || tries >= 4) throw error
    }
  }
}

export async function deleteUser(ctx: Context, id: string, versions: Versions): Promise<void> {
  allowScim(ctx)
  await settled(ctx, deleteScimUser(ctx.tenantDb, id, versions))
}

async function written(ctx: Context, id: string, versions: Versions, user: ScimUserWrite): Promise<ScimUser> {
  await settled(ctx, updateScimUser(ctx.tenantDb, id, versions, user))
  return readUser(ctx, id)
}

async function settled(ctx: Context, work: Promise<UserOutcome>): Promise<void> {
  const done = await keepingAnOwner(work)
  if (done.outcome !== 'changed') throw refusals[done.outcome]()
  await markChanges(ctx, done.changes)
}

/** From now on every isolate knows; a membership that is over ends its sessions. */
export async function markChanges(ctx: Context, changes: readonly MemberChange[]): Promise<void> {
  for (const { userId, role, keys } of changes)
    await markMember(ctx.services, ctx.tenantId, userId, (role ?? 'gone') as RoleName | 'gone', keys)
}

/** The database refuses to end the last owner's membership. */
export async function keepingAnOwner<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (sqlStateOf(error) !== 'WE031') throw error
    throw new ScimProblem(
      'malformed',
      'mutability',
      'This is the tenant’s last owner; make somebody else an owner first.',
      { cause: error },
    )
  }
}

const refusals = {
  absent: () => notFound('user'),
  stale: () => new Problem('precondition_failed', 'It has changed since you read it; read it again.'),
  taken: () =>
    new ScimProblem('conflict', 'uniqueness', 'There is a user with this userName or address already.'),
  domain_not_owned: () =>
    new ScimProblem(
      'malformed',
      'invalidValue',
      'The address is not in a domain that this tenant has verified; see /v1/sso/domains.',
    ),
}
