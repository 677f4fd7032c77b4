import { cacheChange, cacheRevocation } from '#src/cache/api-keys.ts'
import { cacheMember } from '#src/cache/members.ts'
import {
  changeMember,
  findMember,
  listMembers,
  transferTenant as transferTenantRow,
  type Member,
  type MemberFilter,
  type MemberRefusal,
} from '#src/db/members.ts'
import type { TenantId, UserId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { can, isRole, permissionsOfRole, type RoleName } from '#src/domain/role.ts'
import { allow, type Context, type Services } from './context.ts'
import { requireFreshProof } from './step-up.ts'

export async function readMembers(
  ctx: Context,
  filter: MemberFilter,
  { after, limit }: PageRequest,
): Promise<Page<Member>> {
  allow(ctx, 'members:read')
  return toPage(await listMembers(ctx.tenantDb, filter, after?.[0], limit), limit, ({ userId }) => [userId])
}

export async function readMember(ctx: Context, id: UserId): Promise<Member> {
  allow(ctx, 'members:read')
  return memberOf(ctx, id)
}

async function memberOf(ctx: Context, id: UserId): Promise<Member> {
  const found = await findMember(ctx.tenantDb, id)
  if (!found) throw notFound('member')
  return found
}

/** Gives a member another role, from this moment on in every isolate. */
export async function changeRole(ctx: Context, id: UserId, role: RoleName): Promise<Member> {
  allow(ctx, 'members:write')
  const member = await memberOf(ctx, id)
  refuseBeyond(ctx, role, 'You cannot give what you do not have')
  refuseBeyond(ctx, member.role, 'You cannot change who may do more than you')
  await change(ctx, id, role, member.role)
  return { ...member, role }
}

/** Takes a member out; their sessions end with it. */
export async function removeMember(ctx: Context, id: UserId): Promise<void> {
  allow(ctx, 'members:write')
  const member = await memberOf(ctx, id)
  refuseBeyond(ctx, member.role, 'You cannot remove who may do more than you')
  await change(ctx, id, undefined, member.role)
}

/** The caller's own going. */
export async function leaveTenant(ctx: Context): Promise<void> {
  const id = personOf(ctx)
  const member = await findMember(ctx.tenantDb, id)
  if (!member) throw notFound('member')
  await change(ctx, id, undefined, member.role)
}

/** Makes another member the owner; the caller becomes an admin. */
export async function transferTenant(ctx: Context, to: UserId): Promise<void> {
  allow(ctx, 'tenant:write')
  const from = personOf(ctx)
  await requireFreshProof(ctx)
  const moved = await transferTenantRow(ctx.tenantDb, to)
  if (!moved) throw notFound('member')
  if (moved.refused) throw refusals[moved.refused]()
  await markMember(ctx.services, ctx.tenantId, to, 'owner')
  await markMember(ctx.services, ctx.tenantId, from, 'admin')
}

/** Refuses a role that holds something which the caller does not. */
export function refuseBeyond(ctx: Context, role: RoleName, words: string): void {
  if (!isRole(role) && !Object.hasOwn(ctx.tenant.roles, role)) throw invalidRole()
  const beyond = permissionsOfRole(role, ctx.tenant.roles).filter((one) => !can(ctx.actor, one))
  if (beyond.length > 0) throw new Problem('forbidden', `${words}: ${beyond.join(', ')}.`)
}

/** The person who asks; keys and jobs are nobody in particular. */
export function personOf(ctx: Context): UserId {
  if (ctx.actor.kind !== 'user') throw new Problem('forbidden', 'Only a signed-in person can do this.')
  return ctx.actor.userId
}

async function change(ctx: Context, id: UserId, role: RoleName | undefined, was: RoleName): Promise<void> {
  const changed = await changeMember(ctx.tenantDb, id, role, was)
  if (!changed) throw notFound('member')
  if ('refused' in changed) throw refusals[changed.refused]()
  await markMember(ctx.services, ctx.tenantId, id, role ?? 'gone', changed.keys)
}

/**
 * Has every isolate know what somebody is now, and what their keys are worth. Should Redis fail just now, access tokens tell
 * the old role until they run out (ten minutes), and keys for half a minute.
 */
export async function markMember(
  services: Services,
  tenantId: TenantId,
  userId: UserId,
  now: RoleName | 'gone',
  keys: readonly string[] = [],
): Promise<void> {
  const { cache } = services
  const endOrRenew = now === 'gone' ? cacheRevocation : cacheChange
  try {
    await Promise.all([cacheMember(cache, tenantId, userId, now), endOrRenew(cache, ...keys)])
  } catch {
    services.log({ event: 'member_not_cached', tenantId, userId })
  }
}

const invalidRole = () =>
  new Problem('invalid', 'Some fields are not valid.', {
    fields: [{ path: 'role', message: 'is no role of this tenant' }],
  })

const refusals = {
  changed: () => new Problem('conflict', 'Somebody else has just changed this member; look again.'),
  owners_only: () =>
    new Problem('forbidden', 'Only an owner can make, change or remove owners.', { noted: true }),
  last_owner: () =>
    new Problem(
      'conflict',
      'This is the last owner. Make somebody else an owner first, or delete the tenant.',
    ),
} satisfies Record<MemberRefusal, () => Problem>
