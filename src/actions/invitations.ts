import {
  findInvitation,
  insertInvitation,
  listInvitations,
  renewInvitation,
  revokeInvitation as revokeInvitationRow,
  useInvitation as useInvitationRow,
  type FoundInvitation,
  type Invitation,
  type InviteRefusal,
  type ProjectGrant,
  type UsedInvitation,
} from '#src/db/invitations.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id, type UserId } from '#src/domain/id.ts'
import {
  invitationDays,
  isInvitationToken,
  newInvitationToken,
  type InvitationState,
} from '#src/domain/invitation.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { RoleName } from '#src/domain/role.ts'
import { refuseKnownPassword } from './breached.ts'
import { allow, type Context, type Services } from './context.ts'
import { sendMail } from './mail.ts'
import { requireQuota } from './quotas.ts'
import { personOf, refuseBeyond } from './members.ts'
import { hashPassword } from './passwords.ts'

const dayMs = 24 * 60 * 60 * 1000

/** Invites an address: the link goes there and nowhere else. Nobody can offer more than they have. */
export async function invite(
  ctx: Context,
  input: {
    email: string
    role: RoleName
    teams: readonly Id<'team'>[]
    projects: readonly ProjectGrant[]
    days: number
  },
): Promise<Invitation> {
  allow(ctx, 'members:write')
  if (input.projects.length > 0 || input.teams.length > 0) allow(ctx, 'access:write')
  personOf(ctx)
  refuseBeyond(ctx, input.role, 'You cannot give what you do not have')
  if (ctx.tenant.overQuota.includes('members')) throw full()
  await requireQuota(ctx, 'members')
  const now = ctx.now()
  const id = newId('invitation', now)
  const token = newInvitationToken()
  const expiresAt = new Date(now.getTime() + input.days * dayMs)
  const made = await insertInvitation(ctx.tenantDb, {
    ...input,
    id,
    expiresAt,
    tokenHash: await sha256(token),
  })
  if ('refused' in made) throw refusals[made.refused]()
  await mail(ctx, { ...made, email: input.email, role: input.role, token, expiresAt })
  return invitationOf(ctx, id)
}

/** Sends it again, with another link: the one before is worth nothing from now on. */
export async function resendInvitation(ctx: Context, id: Id<'invitation'>): Promise<Invitation> {
  allow(ctx, 'members:write')
  personOf(ctx)
  const before = await invitationOf(ctx, id)
  refuseBeyond(ctx, before.role, 'You cannot give what you do not have')
  const token = newInvitationToken()
  const expiresAt = new Date(ctx.now().getTime() + invitationDays * dayMs)
  const renewed = await renewInvitation(ctx.tenantDb, id, await sha256(token), expiresAt)
  if (!renewed) throw over()
  if ('refused' in renewed)
    throw renewed.refused === 'unverified'
      ? refusals.unverified()
      : new Problem('limited', 'This invitation was sent ten times; revoke it and make another one.')
  await mail(ctx, { ...renewed, role: before.role, token, expiresAt })
  return invitationOf(ctx, id)
}

export async function revokeInvitation(ctx: Context, id: Id<'invitation'>): Promise<void> {
  allow(ctx, 'members:write')
  if (await revokeInvitationRow(ctx.tenantDb, id)) return
  await invitationOf(ctx, id)
  throw over()
}

export async function readInvitations(
  ctx: Context,
  filter: { state?: InvitationState | undefined },
  { after, limit }: PageRequest,
): Promise<Page<Invitation>> {
  allow(ctx, 'members:read')
  return toPage(await listInvitations(ctx.tenantDb, filter, after?.[0], limit), limit, ({ id }) => [id])
}

export async function readInvitation(ctx: Context, id: Id<'invitation'>): Promise<Invitation> {
  allow(ctx, 'members:read')
  return invitationOf(ctx, id)
}

async function invitationOf(ctx: Context, id: Id<'invitation'>): Promise<Invitation> {
  const [found] = await listInvitations(ctx.tenantDb, { id }, undefined, 1)
  if (!found) throw notFound('invitation')
  return found
}

/** What whoever has the link sees of it. Unknown, used, revoked and over are one answer. */
export async function lookAtInvitation(services: Services, token: string): Promise<FoundInvitation> {
  const found = isInvitationToken(token)
    ? await findInvitation(services.database, await sha256(token))
    : undefined
  if (!found) throw unusable()
  return found
}

/** Joins: somebody who is signed in, or somebody new with a password. The link has proved the address. */
export async function useInvitation(
  services: Services,
  token: string,
  who: { userId: UserId } | { password: string; name?: string | undefined },
): Promise<UsedInvitation & { userId: UserId }> {
  if (!isInvitationToken(token)) throw unusable()
  const userId = 'userId' in who ? who.userId : newId('user', services.now())
  // Hashing is dear: nobody makes us do it with a token that is none.
  if ('password' in who) {
    await lookAtInvitation(services, token)
    await refuseKnownPassword(services, who.password, 'account.password')
  }
  const account =
    'password' in who
      ? { passwordHash: await hashPassword(who.password, services.passwordCost), name: who.name }
      : undefined
  const used = await useInvitationRow(services.database, await sha256(token), userId, account)
  if (!used) throw unusable()
  if ('refused' in used) throw useRefusals[used.refused]()
  return { ...used, userId }
}

async function mail(
  ctx: Context,
  {
    email,
    token,
    ...data
  }: {
    email: string
    tenantName: string
    inviter: string
    role: RoleName
    token: string
    expiresAt: Date
  },
): Promise<void> {
  await sendMail(ctx.services, {
    to: email,
    template: 'invitation',
    data: {
      tenantName: data.tenantName,
      inviter: data.inviter,
      link: `${ctx.services.publicUrl}/invitation#token=${token}`,
      expiresAt: data.expiresAt.toISOString(),
    },
  })
}

const unusable = () =>
  new Problem(
    'not_found',
    'This invitation cannot be used (any more). Ask whoever invited you for a new one.',
  )
const over = () => new Problem('conflict', 'This invitation is not open any more.')
const full = () =>
  new Problem('quota_exceeded', 'The tenant has as many members as its plan allows (quota: members).')

const refusals = {
  unverified: () =>
    new Problem('forbidden', 'Confirm your own e-mail address first; then you can invite others.', {
      noted: true,
    }),
  owners_only: () =>
    new Problem('forbidden', 'Only an owner can make, change or remove owners.', { noted: true }),
  member: () => new Problem('conflict', 'This address belongs to a member already.'),
  open: () => new Problem('conflict', 'This address has an open invitation; send that one again.'),
  too_many: () => new Problem('conflict', 'There are 200 open invitations; revoke some of them first.'),
  team: () => unknownField('teams'),
  project: () => unknownField('projects'),
} satisfies Record<InviteRefusal, () => Problem>

const useRefusals = {
  address: () =>
    new Problem('forbidden', 'This invitation is for another address than the one you signed in with.'),
  account: () => new Problem('conflict', 'This address has an account. Sign in, then use the invitation.'),
  quota: full,
}

const unknownField = (path: string) =>
  new Problem('invalid', 'Some fields are not valid.', {
    fields: [{ path, message: 'names one that is not there' }],
  })
