import * as z from 'zod'
import {
  createApiKey,
  createOwnKey,
  deleteApiKey,
  deleteOwnKey,
  readApiKey,
  readApiKeys,
  readOwnKeys,
  revokeAll,
  revokeFoundKey,
  rotateApiKey,
  rotateOwnKey,
} from '#src/actions/api-keys.ts'
import type { ApiKey } from '#src/db/api-keys.ts'
import { addressRange } from '#src/domain/address-range.ts'
import { ids } from '#src/domain/id.ts'
import { isPerson } from '#src/domain/known-key.ts'
import { permission } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const ownKey = z.object({
  name: z.string().trim().min(1).max(100),
  scopes: z.array(permission).min(1),
  expiresAt: z.iso.datetime({ offset: true }).pipe(z.coerce.date()).optional(),
  projectId: ids.project.optional(),
  /** From where it may be used; anywhere without it. */
  ipAllow: z.array(addressRange).max(50).optional(),
})
const newKey = ownKey.extend({ serviceAccountId: ids.serviceAccount.optional() })
const oneKey = z.object({ id: ids.apiKey })
const week = 7 * 86_400_000
const rotation = z.strictObject({ overlapMs: z.number().int().min(0).max(week).default(0) })
const foundKey = z.strictObject({ key: z.string().max(200) })
const keysOf = z.union([
  z.strictObject({ userId: ids.user }).transform(({ userId }) => ({ owner: userId })),
  z
    .strictObject({ serviceAccountId: ids.serviceAccount })
    .transform(({ serviceAccountId }) => ({ owner: serviceAccountId })),
  z.strictObject({ all: z.literal(true) }),
])

const toJson = (key: ApiKey) => ({
  id: key.id,
  name: key.name,
  hint: key.hint,
  scopes: key.scopes,
  ...(isPerson(key.owner) ? { userId: key.owner } : { serviceAccountId: key.owner }),
  ...(key.projectId ? { projectId: key.projectId } : {}),
  ...(key.ipAllow.length > 0 ? { ipAllow: key.ipAllow } : {}),
  createdBy: key.createdBy,
  createdAt: rfc3339(key.createdAt),
  ...(key.expiresAt ? { expiresAt: rfc3339(key.expiresAt) } : {}),
  ...(key.lastUsedAt ? { lastUsedAt: rfc3339(key.lastUsedAt) } : {}),
  ...(key.lastUsedFrom ? { lastUsedFrom: key.lastUsedFrom } : {}),
  ...(key.replacedBy ? { replacedBy: key.replacedBy } : {}),
})

const rfc3339 = (time: string): string => new Date(time).toISOString()

export const apiKeyRoutes = newRoutes()
  .post('/', valid('json', newKey), async (c) => {
    const made = await createApiKey(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/api-keys/${made.id}`, { ...toJson(made), key: made.key })
  })
  .get(
    '/',
    valid(
      'query',
      listQuery({
        userId: ids.user.optional(),
        serviceAccountId: ids.serviceAccount.optional(),
        projectId: ids.project.optional(),
      }),
    ),
    async (c) => {
      const { userId, serviceAccountId, projectId, ...paging } = c.req.valid('query')
      const filter = { owner: userId ?? serviceAccountId, projectId }
      return page(c, await readApiKeys(c.var.ctx, filter, await pageRequest(c, paging)), toJson)
    },
  )
  // For whoever has found one, without a credential: see http/public-routes.ts.
  .post('/revoke', valid('json', foundKey), async (c) => {
    await revokeFoundKey(c.var.gate.services, c.req.valid('json').key)
    return c.json({ accepted: true }, 202)
  })
  .post('/revoke-all', valid('json', keysOf), async (c) =>
    c.json({ revoked: await revokeAll(c.var.ctx, c.req.valid('json')) }, 200),
  )
  .post('/:id/rotate', valid('param', oneKey), valid('json', rotation), async (c) => {
    const made = await rotateApiKey(c.var.ctx, c.req.valid('param').id, c.req.valid('json').overlapMs)
    return created(c, `/v1/api-keys/${made.id}`, { ...toJson(made), key: made.key })
  })
  .get('/:id', valid('param', oneKey), async (c) =>
    c.json(toJson(await readApiKey(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .delete('/:id', valid('param', oneKey), async (c) => {
    await deleteApiKey(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })

/** A person's own keys: no permission is needed, for they allow nothing that the person may not do. */
export const ownKeyRoutes = newRoutes()
  .post('/', valid('json', ownKey), async (c) => {
    const made = await createOwnKey(c.var.ctx, c.req.valid('json'))
    return c.json({ ...toJson(made), key: made.key }, 201)
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readOwnKeys(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .post('/:id/rotate', valid('param', oneKey), valid('json', rotation), async (c) => {
    const made = await rotateOwnKey(c.var.ctx, c.req.valid('param').id, c.req.valid('json').overlapMs)
    return c.json({ ...toJson(made), key: made.key }, 201)
  })
  .delete('/:id', valid('param', oneKey), async (c) => {
    await deleteOwnKey(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
