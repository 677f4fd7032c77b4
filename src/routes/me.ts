import { getSelf } from '#src/db/users.ts'
import { permissionsOf } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'

/** Who is calling and what they may do: what the console shows, and what a key's holder checks first. */
export const meRoutes = newRoutes().get('/', async (c) => {
  const { tenantId, tenantDb, actor } = c.var.ctx
  const self = await getSelf(tenantDb, actor.kind === 'user' ? actor.userId : undefined)
  const { tenantName, email = '', emailVerified } = self
  return c.json(
    {
      tenant: { id: tenantId, name: tenantName },
      ...(actor.kind === 'user'
        ? { user: { id: actor.userId, email, emailVerified, role: actor.role } }
        : {}),
      ...(actor.kind === 'api-key' ? { apiKey: { id: actor.keyId } } : {}),
      permissions: permissionsOf(actor),
    },
    200,
  )
})
