import * as z from 'zod'
import {
  askForEmailChange,
  askForLink,
  askForVerification,
  changePassword,
  confirmEmailChange,
  resetPassword,
  undoEmailChange,
  verifyEmail,
} from '#src/actions/accounts.ts'
import { newPassword, shownPassword } from '#src/domain/password.ts'
import { newRoutes } from '#src/http/api.ts'
import { clearSessionCookies } from '#src/http/cookies.ts'
import { defer } from '#src/http/defer.ts'
import { countOwnPassword } from '#src/http/device.ts'
import { valid } from '#src/http/valid.ts'

const email = z.email().max(254)
const token = z.string().max(100)
const withToken = z.strictObject({ token })

/** What people do about their own account. Asking is always 202: it does not tell who has one. */
export const accountRoutes = newRoutes()
  .post('/verification', async (c) => {
    defer(c, (await askForVerification(c.var.ctx))())
    return c.body(null, 202)
  })
  .post('/verify', valid('json', withToken), async (c) =>
    c.json(await verifyEmail(c.var.gate.services, c.req.valid('json').token), 200),
  )
  .post('/password-reset', valid('json', z.strictObject({ email })), async (c) => {
    const afterwards = await askForLink(c.var.gate.services, 'reset', c.req.valid('json').email)
    defer(c, afterwards())
    return c.body(null, 202)
  })
  .post('/password-reset/use', valid('json', z.strictObject({ token, password: newPassword })), async (c) => {
    const afterwards = await resetPassword(c.var.gate.services, c.req.valid('json'))
    defer(c, afterwards())
    clearSessionCookies(c)
    return c.body(null, 204)
  })
  .post(
    '/password',
    valid('json', z.strictObject({ oldPassword: shownPassword, password: newPassword })),
    async (c) => {
      await countOwnPassword(c)
      defer(c, (await changePassword(c.var.ctx, c.req.valid('json')))())
      return c.body(null, 204)
    },
  )
  .post('/email', valid('json', z.strictObject({ email, password: shownPassword })), async (c) => {
    await countOwnPassword(c)
    defer(c, (await askForEmailChange(c.var.ctx, c.req.valid('json')))())
    return c.body(null, 202)
  })
  .post('/email/confirm', valid('json', withToken), async (c) => {
    const { services } = c.var.gate
    const { afterwards, ...done } = await confirmEmailChange(services, c.req.valid('json').token)
    defer(c, afterwards())
    return c.json(done, 200)
  })
  .post('/email/undo', valid('json', withToken), async (c) => {
    const afterwards = await undoEmailChange(c.var.gate.services, c.req.valid('json').token)
    defer(c, afterwards())
    clearSessionCookies(c)
    return c.body(null, 204)
  })
