import * as z from 'zod'
import {
  deleteIntegration,
  putIntegration,
  readIntegration,
  readIntegrations,
} from '#src/actions/integrations.ts'
import type { Integration } from '#src/db/integrations.ts'
import { integrationKinds } from '#src/domain/integration.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf } from '#src/http/etag.ts'
import { single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const oneKind = z.object({ kind: z.enum(integrationKinds) })

/** The secret is never here: it only goes in. */
const toJson = ({ kind, address, options, secret, updatedAt }: Integration) => ({
  kind,
  address,
  options,
  hasSecret: secret !== null,
  updatedAt: updatedAt.toISOString(),
})

/** The tenant's own Vault, Airflow and GitLab. */
export const integrationRoutes = newRoutes()
  .get('/', async (c) => c.json({ items: (await readIntegrations(c.var.ctx)).map(toJson) }, 200))
  .get('/:kind', valid('param', oneKind), async (c) => {
    const found = await readIntegration(c.var.ctx, c.req.valid('param').kind)
    return single(c, toJson(found), etagOf(found.version))
  })
  .put('/:kind', valid('param', oneKind), valid('json', z.record(z.string(), z.unknown())), async (c) => {
    const put = await putIntegration(c.var.ctx, c.req.valid('param').kind, c.req.valid('json'))
    return c.json(toJson(put), 200, { ETag: etagOf(put.version) })
  })
  .delete('/:kind', valid('param', oneKind), async (c) => {
    await deleteIntegration(c.var.ctx, c.req.valid('param').kind)
    return c.body(null, 204)
  })
