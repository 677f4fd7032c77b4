import * as z from 'zod'
import {
  beginTotpForSignIn,
  enrolAndSignIn,
  finishSignIn,
  passkeyAlone,
  passkeyForSignIn,
  signInWithPasskey,
} from '#src/actions/factor-sign-in.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { created } from '#src/http/reply.ts'
import { requestOrigin } from '#src/http/request-origin.ts'
import { answerSignIn, refuse } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'
import { challengeToken, code, factorName, registration, signature } from './factor-shapes.ts'

const over = 'This step has taken too long or was ended; sign in again.'
const wrong = 'This is not right, was used already, or has taken too long.'

const token = z.object({ token: challengeToken })
const enrolment = z.union([
  z.strictObject({ token: challengeToken, code }),
  z.strictObject({
    token: challengeToken,
    passkey: registration,
    name: factorName.default('Passkey'),
  }),
])
const step = z.union([
  z.strictObject({ token: challengeToken, code }),
  z.strictObject({ token: challengeToken, recoveryCode: z.string().max(100) }),
  z.strictObject({ token: challengeToken, passkey: signature }),
])

/** The second step of a sign-in, under /v1/sessions/factor: the challenge's token is the credential. */
export const secondStepRoutes = newRoutes()
  .post('/', valid('json', step), async (c) => {
    const { token, ...shown } = c.req.valid('json')
    return answerSignIn(c, await finishSignIn(c.var.gate.services, { token, shown }, requestOrigin(c)), wrong)
  })
  .post('/passkey/options', valid('json', token), async (c) => {
    const options = await passkeyForSignIn(c.var.gate.services, c.req.valid('json').token)
    if (!options) refuse(c, 'challenge_over', over)
    return c.json(options, 200)
  })
  .post('/totp', valid('json', token), async (c) => {
    const begun = await beginTotpForSignIn(c.var.gate.services, c.req.valid('json').token)
    if (!begun) refuse(c, 'challenge_over', over)
    return created(c, '/v1/me/factors', begun)
  })
  .post('/enrol', valid('json', enrolment), async (c) => {
    const { token, ...shown } = c.req.valid('json')
    const done = await enrolAndSignIn(c.var.gate.services, { token, shown }, requestOrigin(c))
    return answerSignIn(c, done.signIn, wrong, undefined, { recoveryCodes: done.recoveryCodes })
  })

/** A passkey instead of a password, under /v1/sessions/passkey. */
export const passkeySignInRoutes = newRoutes()
  .post('/options', async (c) => c.json(await passkeyAlone(c.var.gate.services), 200))
  .post(
    '/',
    valid('json', z.strictObject({ passkey: signature, tenantId: ids.tenant.optional() })),
    async (c) =>
      answerSignIn(
        c,
        await signInWithPasskey(c.var.gate.services, c.req.valid('json'), requestOrigin(c)),
        'This passkey does not open an account here.',
      ),
  )
