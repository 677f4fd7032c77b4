import * as z from 'zod'
import { switchTenant } from '#src/actions/tenants.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { answerSignIn, clientOf } from '#src/http/session.ts'
import { valid } from '#src/http/valid.ts'

const where = z.strictObject({ tenantId: ids.tenant })

/** To another tenant of the caller's; see switchTenant. */
export const switchRoutes = newRoutes().post('/switch', valid('json', where), async (c) =>
  answerSignIn(
    c,
    await switchTenant(c.var.ctx, c.req.valid('json').tenantId, clientOf(c)),
    'This session is too old for that tenant, or you have just left it: sign in there.',
  ),
)
