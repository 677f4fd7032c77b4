import * as z from 'zod'
import {
  addPasskey,
  beginPasskey,
  beginTotp,
  confirmTotp,
  deleteFactor,
  nameFactor,
  readFactors,
  replaceRecoveryCodes,
  resetMemberFactors,
} from '#src/actions/my-factors.ts'
import { stepUp, stepUpOptions } from '#src/actions/step-up.ts'
import type { Factor } from '#src/db/factors.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { created } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'
import { code, factorName, registration, shown } from './factor-shapes.ts'

const oneFactor = z.object({ id: ids.factor })
const oneMember = z.object({ id: ids.user })
const named = z.strictObject({ name: factorName })

const toJson = ({ id, kind, name, createdAt, lastUsedAt }: Factor) => ({
  id,
  kind,
  name,
  createdAt: new Date(createdAt).toISOString(),
  ...(lastUsedAt === null ? {} : { lastUsedAt: new Date(lastUsedAt).toISOString() }),
})

/** A person's own factors, under /v1/me/factors. */
export const factorRoutes = newRoutes()
  .get('/', async (c) => {
    const { factors, recoveryCodes, required } = await readFactors(c.var.ctx)
    return c.json({ items: factors.map(toJson), recoveryCodes, required }, 200)
  })
  .post(
    '/totp',
    valid('json', z.strictObject({ name: factorName.default('Authenticator app') })),
    async (c) => created(c, '/v1/me/factors', await beginTotp(c.var.ctx, c.req.valid('json').name)),
  )
  .post('/totp/confirm', valid('json', z.strictObject({ code })), async (c) =>
    c.json(await confirmTotp(c.var.ctx, c.req.valid('json').code), 200),
  )
  .post('/passkeys/options', async (c) => c.json(await beginPasskey(c.var.ctx), 200))
  .post(
    '/passkeys',
    valid('json', z.strictObject({ name: factorName.default('Passkey'), passkey: registration })),
    async (c) => created(c, '/v1/me/factors', await addPasskey(c.var.ctx, c.req.valid('json'))),
  )
  .post('/recovery-codes', async (c) =>
    created(c, '/v1/me/factors', { recoveryCodes: await replaceRecoveryCodes(c.var.ctx) }),
  )
  .patch('/:id', valid('param', oneFactor), valid('json', named), async (c) => {
    await nameFactor(c.var.ctx, c.req.valid('param').id, c.req.valid('json').name)
    return c.body(null, 204)
  })
  .delete('/:id', valid('param', oneFactor), async (c) => {
    await deleteFactor(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })

const proof = z.union([shown, z.strictObject({ password: z.string().max(256) })])

/** A fresh proof of whose session it is, under /v1/me/step-up. */
export const stepUpRoutes = newRoutes()
  .post('/', valid('json', proof), async (c) => {
    const provedUntil = await stepUp(c.var.ctx, c.req.valid('json'))
    return c.json({ provedUntil: provedUntil.toISOString() }, 200)
  })
  .post('/options', async (c) => c.json(await stepUpOptions(c.var.ctx), 200))

/** Under /v1/members: for who has lost every factor. */
export const memberFactorRoutes = newRoutes().delete('/:id/factors', valid('param', oneMember), async (c) => {
  await resetMemberFactors(c.var.ctx, c.req.valid('param').id)
  return c.body(null, 204)
})
