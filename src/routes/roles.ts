import * as z from 'zod'
import { changeRole, createRole, readRole, readRoles, removeRole } from '#src/actions/roles.ts'
import type { OwnRole } from '#src/db/roles.ts'
import { ids } from '#src/domain/id.ts'
import { granted, permission, roles } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { created } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const name = z.string().trim().min(1).max(100)
const some = z
  .array(permission)
  .max(100)
  .transform((all) => [...new Set(all)])
const newRole = z.strictObject({ name, permissions: some })
const change = z
  .strictObject({ name: name.optional(), permissions: some.optional() })
  .refine((given) => Object.keys(given).length > 0, { error: 'must change something' })
const oneRole = z.object({ id: ids.role })

const toJson = (role: OwnRole) => ({
  ...role,
  builtIn: false as const,
  createdAt: role.createdAt.toISOString(),
  updatedAt: role.updatedAt.toISOString(),
})

const builtIn = roles.map((id) => ({ id, name: id, permissions: [...granted[id]], builtIn: true as const }))

/** The tenant's own roles; those that come with Weir are listed with them and cannot be changed. */
export const roleRoutes = newRoutes()
  .get('/', async (c) => c.json({ items: [...builtIn, ...(await readRoles(c.var.ctx)).map(toJson)] }, 200))
  .post('/', valid('json', newRole), async (c) => {
    const made = await createRole(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/roles/${made.id}`, toJson(made))
  })
  .get('/:id', valid('param', oneRole), async (c) =>
    c.json(toJson(await readRole(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .patch('/:id', valid('param', oneRole), valid('json', change), async (c) =>
    c.json(toJson(await changeRole(c.var.ctx, c.req.valid('param').id, c.req.valid('json'))), 200),
  )
  .delete('/:id', valid('param', oneRole), async (c) => {
    await removeRole(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
