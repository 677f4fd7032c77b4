import {
  anonymiseFormer,
  eraseMe as eraseMeRow,
  exportMe as exportMeRow,
  listFormerMembers,
  type FormerMember,
} from '#src/db/people.ts'
import type { UserId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'
import { markMember, personOf } from './members.ts'
import { requireFreshProof } from './step-up.ts'

/** Everything that is kept of the caller as a person: no secrets, and nothing that is a tenant's. */
export async function exportMe(ctx: Context): Promise<Record<string, unknown>> {
  personOf(ctx)
  return { exportedAt: ctx.now().toISOString(), ...(await exportMeRow(ctx.tenantDb)) }
}

/** Ends the caller's account everywhere. What they did stays under an id that is nobody's any more. */
export async function eraseMe(ctx: Context): Promise<void> {
  const me = personOf(ctx)
  await requireFreshProof(ctx)
  const erased = await eraseMeRow(ctx.tenantDb)
  if ('tenants' in erased)
    throw new Problem(
      'conflict',
      `You are the last owner of ${erased.tenants.map((name) => `"${name}"`).join(', ')}. Make somebody else an owner, or delete the tenant.`,
    )
  for (const tenantId of erased.left) await markMember(ctx.services, tenantId, me, 'gone', erased.keys)
}

export async function readFormerMembers(
  ctx: Context,
  { after, limit }: PageRequest,
): Promise<Page<FormerMember>> {
  allow(ctx, 'members:read')
  return toPage(await listFormerMembers(ctx.tenantDb, after?.[0], limit), limit, ({ userId }) => [userId])
}

/** Forgets who a former member was. Somebody who is a member nowhere else loses the account with it. */
export async function anonymiseMember(ctx: Context, id: UserId): Promise<void> {
  allow(ctx, 'privacy:write')
  if (!(await anonymiseFormer(ctx.tenantDb, id))) throw notFound('former member')
}
