import * as z from 'zod'
import { signUp } from '#src/actions/sign-up.ts'
import { newPassword } from '#src/domain/password.ts'
import { newRoutes } from '#src/http/api.ts'
import { defer } from '#src/http/defer.ts'
import { clientOf, giveSession } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'

const newTenant = z.object({
  tenantName: z.string().trim().min(1).max(100),
  email: z.email().max(254),
  password: newPassword,
})

export const signUpRoutes = newRoutes().post('/', valid('json', newTenant), async (c) => {
  const { session, announce } = await signUp(c.var.gate.services, {
    ...c.req.valid('json'),
    ...clientOf(c),
  })
  defer(c, announce())
  return giveSession(c, session)
})
