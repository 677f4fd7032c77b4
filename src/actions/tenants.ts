import {
  insertOwnTenant,
  listOwnTenants,
  moveTenant,
  type MoveRefusal,
  type OwnTenant,
  type TenantMove,
} from '#src/db/tenants.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import { findMember } from '#src/db/members.ts'
import type { Client } from '#src/db/sessions.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'
import { personOf } from './members.ts'
import { completeSignIn, readSessions, signOut, type SignIn } from './sessions.ts'
import { requireFreshProof } from './step-up.ts'
import { refreshTenantRecord } from './tenant-record.ts'

const dayMs = 24 * 60 * 60 * 1000

/** Every tenant that the caller is a member of. */
export async function readOwnTenants(ctx: Context): Promise<OwnTenant[]> {
  personOf(ctx)
  return listOwnTenants(ctx.tenantDb)
}

/** A further tenant of the caller's own. */
export async function openTenant(ctx: Context, name: string): Promise<{ id: TenantId; name: string }> {
  personOf(ctx)
  const id = newId('tenant', ctx.now())
  if (!(await insertOwnTenant(ctx.tenantDb, id, name)))
    throw new Problem('conflict', 'You own 20 tenants already; delete one, or have somebody else own it.')
  return { id, name }
}

/**
 * Signs the caller in to another tenant of theirs, by the way of every sign-in: what that tenant wants to see is asked for.
 * The session that they come from ends when the new one is there.
 */
export async function switchTenant(ctx: Context, tenantId: TenantId, client: Client): Promise<SignIn> {
  const userId = personOf(ctx)
  const [own, sessions, me] = await Promise.all([
    listOwnTenants(ctx.tenantDb),
    readSessions(ctx),
    findMember(ctx.tenantDb, userId),
  ])
  if (!me || !own.some(({ id }) => id === tenantId)) throw notFound('tenant')
  // A switch is no proof of its own: what it opens is not a fresh sign-in.
  const left = sessions.find(({ current }) => current)
  const amr = [...new Set([...(left?.amr ?? []), 'switch'])]
  const { email } = me
  const found = await completeSignIn(ctx.services, {
    userId,
    email,
    tenantId,
    amr,
    beganAt: left?.firstUsedAt,
    ...client,
  })
  if (found.ok === true) await signOut(ctx)
  return found
}

/** Nothing new begins and requests are refused, until an owner resumes it; what runs comes to its end. */
export const suspendTenant = (ctx: Context, reason: string): Promise<void> => move(ctx, 'suspend', reason)

export const resumeTenant = (ctx: Context): Promise<void> => move(ctx, 'resume')

/** Ends the tenant when the days are over; until then an owner can take it back. What runs is stopped. */
export async function deleteTenant(
  ctx: Context,
  { name, graceDays }: { name: string; graceDays: number },
): Promise<Date> {
  allow(ctx, 'tenant:write')
  await requireFreshProof(ctx)
  const at = new Date(ctx.now().getTime() + graceDays * dayMs)
  await move(ctx, 'delete', name, at)
  return at
}

export const restoreTenant = (ctx: Context): Promise<void> => move(ctx, 'restore')

async function move(ctx: Context, to: TenantMove, text?: string, at?: Date): Promise<void> {
  allow(ctx, 'tenant:write')
  personOf(ctx)
  const { refused } = await moveTenant(ctx.tenantDb, to, text, at)
  if (refused) throw refusals[refused](to)
  await refreshTenantRecord(ctx, ctx.tenantId)
}

const refusals = {
  owners_only: () => new Problem('forbidden', 'Only an owner can do this.', { noted: true }),
  platform: () =>
    new Problem('forbidden', 'The operator of the platform suspended this tenant; only they can resume it.', {
      noted: true,
    }),
  name: () =>
    new Problem('invalid', 'Some fields are not valid.', {
      fields: [{ path: 'name', message: 'must be the name of this tenant, letter by letter' }],
    }),
  state: (to) => new Problem('conflict', inState[to]),
} satisfies Record<MoveRefusal, (to: TenantMove) => Problem>

const inState = {
  suspend: 'The tenant is suspended already.',
  resume: 'The tenant is not suspended.',
  delete: 'The tenant is to be deleted already.',
  restore: 'The tenant is not to be deleted, or its erasure has begun.',
} satisfies Record<TenantMove, string>
