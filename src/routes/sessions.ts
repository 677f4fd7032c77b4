import * as z from 'zod'
import { renewSession, signIn, signOut } from '#src/actions/sessions.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { clearSessionCookies, readRefreshCookie } from '#src/http/cookies.ts'
import { accountBucket, addressBucket, countStrictly } from '#src/http/limits.ts'
import { created } from '#src/http/reply.ts'
import { giveTokens, refuse } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'

const credentials = z.object({
  email: z.string().max(254),
  password: z.string().max(256),
  /** Which tenant, for those who are in several. */
  tenantId: ids.tenant.optional(),
})
/** Browsers send the cookie instead. */
const renewal = z.object({ refreshToken: z.string().max(200).optional() })

export const sessionRoutes = newRoutes()
  .post('/', valid('json', credentials), async (c) => {
    const { services } = c.var.gate
    const input = c.req.valid('json')
    const { signInAddress, signInAccount } = services.limits
    await countStrictly(
      c,
      await addressBucket(c, signInAddress),
      await accountBucket(signInAccount, input.email),
    )
    const found = await signIn(services, input)
    if (!found.ok) refuse(c, found.reason, 'Address and password do not belong together.')
    const { session } = found
    const { tenant, user } = session
    const tokens = await giveTokens(c, { ...session, tenantId: tenant.id, userId: user.id })
    return created(c, '/v1/me', { tenant, user, ...tokens })
  })
  .post('/refresh', valid('json', renewal), async (c) => {
    const shown = c.req.valid('json').refreshToken ?? readRefreshCookie(c.req.header('cookie') ?? null)
    if (shown === undefined) refuse(c, 'no_refresh_token', 'Sign in again.')
    const found = await renewSession(c.var.gate.services, shown)
    if (!found.ok) refuse(c, found.reason, 'Sign in again.')
    return c.json(await giveTokens(c, found.renewed), 200)
  })
  .delete('/current', async (c) => {
    await signOut(c.var.ctx)
    clearSessionCookies(c)
    return c.body(null, 204)
  })
