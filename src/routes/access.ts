import * as z from 'zod'
import { readOwnPermissions, type OnResource } from '#src/actions/access.ts'
import { explainKey, explainUser } from '#src/actions/explain.ts'
import { ids } from '#src/domain/id.ts'
import { permission } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'
import { resourceOf } from './grants.ts'

const question = z
  .strictObject({
    user: ids.user.optional(),
    key: ids.apiKey.optional(),
    permission,
    resource: z.union([ids.project, ids.pipeline, ids.connection, ids.dataset]).optional(),
    /** From where it would be asked. */
    address: z.union([z.ipv4(), z.ipv6()]).optional(),
  })
  .refine(({ user, key }) => (user === undefined) !== (key === undefined), {
    error: 'must name either a user or a key',
  })

/** Why somebody may do something, or what is missing. */
export const accessRoutes = newRoutes().get('/explain', valid('query', question), async (c) => {
  const { user, key, permission: wanted, resource, address } = c.req.valid('query')
  const asked = { permission: wanted, resource: resource && resourceOf(resource), address }
  if (user !== undefined) return c.json(await explainUser(c.var.ctx, user, asked), 200)
  if (key !== undefined) return c.json(await explainKey(c.var.ctx, key, asked), 200)
  return c.body(null, 204)
})

/** Everything that the caller may do, so that a console shows only that. */
export const ownPermissionRoutes = newRoutes().get('/', valid('query', listQuery({})), async (c) => {
  const { permissions, project, granted } = await readOwnPermissions(
    c.var.ctx,
    await pageRequest(c, c.req.valid('query')),
  )
  const answer = await page(c, granted, (one) => one)
  const paged = (await answer.json()) as { items: OnResource[]; nextCursor?: string }
  return c.json({ permissions, ...(project ? { project } : {}), ...paged }, 200)
})
