import * as z from 'zod'
import { signUp } from '#src/actions/sign-up.ts'
import { newRoutes } from '#src/http/api.ts'
import { created } from '#src/http/reply.ts'
import { giveTokens } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'

const newTenant = z.object({
  tenantName: z.string().trim().min(1).max(100),
  email: z.email().max(254),
  /** As it comes: no rules of composition, nothing cut off. */
  password: z.string().min(8).max(256),
})

export const signUpRoutes = newRoutes().post('/', valid('json', newTenant), async (c) => {
  const session = await signUp(c.var.gate.services, c.req.valid('json'))
  const { tenant, user } = session
  const tokens = await giveTokens(c, { ...session, tenantId: tenant.id, userId: user.id })
  return created(c, '/v1/me', { tenant, user, ...tokens })
})
