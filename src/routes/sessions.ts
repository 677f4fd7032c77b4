import * as z from 'zod'
import { askForLink, signInWithLink } from '#src/actions/accounts.ts'
import { noteRefusal } from '#src/actions/refused-sign-in.ts'
import {
  endOtherSessions,
  endSession,
  readSessions,
  renewSession,
  signIn,
  signOut,
} from '#src/actions/sessions.ts'
import { ids } from '#src/domain/id.ts'
import { shownPassword } from '#src/domain/password.ts'
import { newRoutes } from '#src/http/api.ts'
import { clearSessionCookies, readRefreshCookie } from '#src/http/cookies.ts'
import { defer } from '#src/http/defer.ts'
import { countSignIn } from '#src/http/device.ts'
import { addressBucket, countStrictly } from '#src/http/limits.ts'
import { requestOrigin } from '#src/http/request-origin.ts'
import { answerSignIn, clientOf, giveTokens, refuse } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'

/** Which tenant, for those who are in several. */
const tenantId = ids.tenant.optional()
const credentials = z.object({ email: z.string().max(254), password: shownPassword, tenantId })
/** Browsers send the cookie instead. */
const renewal = z.object({ refreshToken: z.string().max(200).optional() })
const oneSession = z.object({ id: ids.session })

export const sessionRoutes = newRoutes()
  .post('/', valid('json', credentials), async (c) => {
    const input = c.req.valid('json')
    const attempt = await countSignIn(c, input.email)
    const found = await signIn(c.var.gate.services, { ...input, ...clientOf(c) })
    if (found.ok === false)
      defer(c, noteRefusal(c.var.gate.services, input.email, found.reason, requestOrigin(c)))
    return answerSignIn(c, found, 'Address and password do not belong together.', attempt)
  })
  .post('/link', valid('json', z.strictObject({ email: z.email().max(254) })), async (c) => {
    const afterwards = await askForLink(c.var.gate.services, 'link', c.req.valid('json').email)
    defer(c, afterwards())
    return c.body(null, 202)
  })
  .post('/link/use', valid('json', z.strictObject({ token: z.string().max(100), tenantId })), async (c) => {
    const input = c.req.valid('json')
    return answerSignIn(c, await signInWithLink(c.var.gate.services, { ...input, ...clientOf(c) }))
  })
  .post('/refresh', valid('json', renewal), async (c) => {
    const { services } = c.var.gate
    // A whole office comes back at once after a break, from one address.
    await countStrictly(c, await addressBucket(c, services.limits.refreshAddress))
    const shown = c.req.valid('json').refreshToken ?? readRefreshCookie(c.req.header('cookie') ?? null)
    if (shown === undefined) refuse(c, 'no_refresh_token', 'Sign in again.')
    const found = await renewSession(services, shown, clientOf(c))
    if (!found.ok) refuse(c, found.reason, 'Sign in again.')
    return c.json(await giveTokens(c, found.renewed), 200)
  })
  .get('/', async (c) => {
    const items = (await readSessions(c.var.ctx)).map(toJson)
    return c.json({ items }, 200)
  })
  .delete('/current', async (c) => {
    await signOut(c.var.ctx)
    clearSessionCookies(c)
    return c.body(null, 204)
  })
  .delete('/', async (c) => {
    await endOtherSessions(c.var.ctx)
    return c.body(null, 204)
  })
  .delete('/:id', valid('param', oneSession), async (c) => {
    await endSession(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })

const toJson = (one: Awaited<ReturnType<typeof readSessions>>[number]) => ({
  id: one.sessionId,
  tenant: one.tenant,
  current: one.current,
  amr: one.amr,
  ...(one.address === null ? {} : { address: one.address }),
  ...(one.userAgent === null ? {} : { userAgent: one.userAgent }),
  firstUsedAt: one.firstUsedAt.toISOString(),
  lastUsedAt: one.lastUsedAt.toISOString(),
  expiresAt: one.expiresAt.toISOString(),
})
