import type { Context } from 'hono'
import * as z from 'zod'
import {
  invite,
  lookAtInvitation,
  readInvitation,
  readInvitations,
  resendInvitation,
  revokeInvitation,
  useInvitation,
} from '#src/actions/invitations.ts'
import { completeSignIn } from '#src/actions/sessions.ts'
import type { Invitation } from '#src/db/invitations.ts'
import { levels } from '#src/domain/access.ts'
import { ids, type UserId } from '#src/domain/id.ts'
import { invitationDays, invitationStates } from '#src/domain/invitation.ts'
import { Problem } from '#src/domain/problem.ts'
import { roleName } from '#src/domain/role.ts'
import { newRoutes, type ApiEnv } from '#src/http/api.ts'
import { identify } from '#src/http/authenticate.ts'
import { readCredential } from '#src/http/credential.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { answerSignIn, clientOf } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'

const newInvitation = z.strictObject({
  email: z.email().max(254),
  role: roleName,
  teams: z.array(ids.team).max(20).default([]),
  projects: z
    .array(z.strictObject({ id: ids.project, level: z.enum(levels) }))
    .max(20)
    .default([]),
  days: z.number().int().min(1).max(invitationDays).default(invitationDays),
})
const oneInvitation = z.object({ id: ids.invitation })
const token = z.string().max(100)
const shown = z.strictObject({ token })
/** The account is for somebody new; who has one signs in first and sends the token alone. */
const use = z.strictObject({
  token,
  account: z
    .strictObject({
      name: z.string().trim().min(1).max(100).optional(),
      password: z.string().min(8).max(256),
    })
    .optional(),
})

const toJson = ({ createdAt, sentAt, expiresAt, usedBy, ...invitation }: Invitation) => ({
  ...invitation,
  createdAt: createdAt.toISOString(),
  sentAt: sentAt.toISOString(),
  expiresAt: expiresAt.toISOString(),
  ...(usedBy === null ? {} : { usedBy }),
})

/** Who is signed in: the link alone says nothing of that. */
async function caller(c: Context<ApiEnv>): Promise<{ userId: UserId }> {
  const identity = await identify(c, readCredential(c.req.raw))
  if (identity.ok && identity.actor.kind === 'user') return { userId: identity.actor.userId }
  throw new Problem('unauthenticated', 'Sign in first; who has no account sends one along.')
}

export const invitationRoutes = newRoutes()
  .post('/', valid('json', newInvitation), async (c) => {
    const made = await invite(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/invitations/${made.id}`, toJson(made))
  })
  .get('/', valid('query', listQuery({ state: z.enum(invitationStates).optional() })), async (c) => {
    const { state, ...paging } = c.req.valid('query')
    return page(c, await readInvitations(c.var.ctx, { state }, await pageRequest(c, paging)), toJson)
  })
  .post('/look', valid('json', shown), async (c) => {
    const { tenantName, email, role, expiresAt, hasAccount } = await lookAtInvitation(
      c.var.gate.services,
      c.req.valid('json').token,
    )
    return c.json(
      { tenant: { name: tenantName }, email, role, expiresAt: new Date(expiresAt).toISOString(), hasAccount },
      200,
    )
  })
  .post('/use', valid('json', use), async (c) => {
    const { services } = c.var.gate
    const { token: shownToken, account } = c.req.valid('json')
    if (!account) {
      const { tenantId, tenantName, role } = await useInvitation(services, shownToken, await caller(c))
      return c.json({ tenant: { id: tenantId, name: tenantName }, role }, 200)
    }
    const { tenantId, email, userId } = await useInvitation(services, shownToken, account)
    // The link has come by mail, and the password was chosen just now.
    const found = await completeSignIn(services, { tenantId, userId, email, amr: ['pwd'], ...clientOf(c) })
    return answerSignIn(c, found)
  })
  .get('/:id', valid('param', oneInvitation), async (c) =>
    c.json(toJson(await readInvitation(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .post('/:id/resend', valid('param', oneInvitation), async (c) =>
    c.json(toJson(await resendInvitation(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .delete('/:id', valid('param', oneInvitation), async (c) => {
    await revokeInvitation(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
