import * as z from 'zod'
import {
  changeServiceAccount,
  createServiceAccount,
  readServiceAccount,
  readServiceAccounts,
  removeServiceAccount,
} from '#src/actions/service-accounts.ts'
import type { ServiceAccount } from '#src/db/service-accounts.ts'
import { ids } from '#src/domain/id.ts'
import { roles } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const name = z.string().trim().min(1).max(100)
const role = z.union([z.enum(roles), ids.role])
const newAccount = z.strictObject({ name, role })
const change = z
  .strictObject({ name: name.optional(), role: role.optional(), disabled: z.boolean().optional() })
  .refine((given) => Object.keys(given).length > 0, { error: 'must change something' })
const oneAccount = z.object({ id: ids.serviceAccount })

const toJson = (account: ServiceAccount) => ({
  id: account.id,
  name: account.name,
  role: account.role,
  disabled: account.disabledAt !== null,
  createdBy: account.createdBy,
  createdAt: new Date(account.createdAt).toISOString(),
  updatedAt: new Date(account.updatedAt).toISOString(),
})

export const serviceAccountRoutes = newRoutes()
  .post('/', valid('json', newAccount), async (c) => {
    const made = await createServiceAccount(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/service-accounts/${made.id}`, toJson(made))
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readServiceAccounts(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/:id', valid('param', oneAccount), async (c) =>
    c.json(toJson(await readServiceAccount(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .patch('/:id', valid('param', oneAccount), valid('json', change), async (c) =>
    c.json(toJson(await changeServiceAccount(c.var.ctx, c.req.valid('param').id, c.req.valid('json'))), 200),
  )
  .delete('/:id', valid('param', oneAccount), async (c) => {
    await removeServiceAccount(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
