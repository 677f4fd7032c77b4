import * as z from 'zod'
import { callbackFor, noCallback, takeCallback } from '#src/actions/callbacks.ts'
import { newRoutes } from '#src/http/api.ts'
import { addressBucket, countLeniently, countStrictly, enforce } from '#src/http/limits.ts'
import { valid } from '#src/http/valid.ts'

const oneCallback = z.object({ token: z.string().min(1).max(1_000) })
const answer = z.strictObject({
  status: z.enum(['succeeded', 'failed']).default('succeeded'),
  output: z.json().optional(),
  error: z.string().max(2_000).optional(),
})

/**
 * Public: the address is the credential. Whoever guesses falls under the limit of their own address; an address that is
 * ours is counted by itself, so that many jobs may report from one place.
 */
export const callbackRoutes = newRoutes().post(
  '/:token',
  valid('param', oneCallback),
  async (c, next) => {
    const { services } = c.get('gate')
    const address = await callbackFor(services, c.req.valid('param').token)
    if (!address) {
      await countStrictly(c, await addressBucket(c, services.limits.address))
      throw noCallback()
    }
    c.get('log').tenantId = address.tenantId
    const owner = `${address.tenantId}:callback:${address.key}`
    const counted = await countLeniently(c, { policy: services.limits.address, owner })
    if (counted) enforce(c, counted)
    return next()
  },
  valid('json', answer),
  async (c) => {
    const { services } = c.get('gate')
    const address = await callbackFor(services, c.req.valid('param').token)
    if (!address) throw noCallback()
    await takeCallback(services, address, c.req.valid('json'))
    return c.body(null, 204)
  },
)
