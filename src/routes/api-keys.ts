import * as z from 'zod'
import { createApiKey, deleteApiKey, readApiKey, readApiKeys } from '#src/actions/api-keys.ts'
import type { ApiKey } from '#src/db/api-keys.ts'
import { ids } from '#src/domain/id.ts'
import { permission } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const newKey = z.object({
  name: z.string().trim().min(1).max(100),
  scopes: z.array(permission).min(1),
  expiresAt: z.iso.datetime({ offset: true }).pipe(z.coerce.date()).optional(),
})
const oneKey = z.object({ id: ids.apiKey })

const toJson = (key: ApiKey) => ({
  id: key.id,
  name: key.name,
  hint: key.hint,
  scopes: key.scopes,
  createdBy: key.createdBy,
  createdAt: key.createdAt.toISOString(),
  ...(key.expiresAt ? { expiresAt: key.expiresAt.toISOString() } : {}),
  ...(key.lastUsedAt ? { lastUsedAt: key.lastUsedAt.toISOString() } : {}),
})

export const apiKeyRoutes = newRoutes()
  .post('/', valid('json', newKey), async (c) => {
    const made = await createApiKey(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/api-keys/${made.id}`, { ...toJson(made), key: made.key })
  })
  .get('/', valid('query', listQuery({})), async (c) => {
    const found = await readApiKeys(c.var.ctx, await pageRequest(c, c.req.valid('query')))
    return page(c, found, toJson)
  })
  .get('/:id', valid('param', oneKey), async (c) =>
    c.json(toJson(await readApiKey(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .delete('/:id', valid('param', oneKey), async (c) => {
    await deleteApiKey(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
