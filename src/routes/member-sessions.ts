import * as z from 'zod'
import { endMemberSessions } from '#src/actions/sessions.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { valid } from '#src/http/valid.ts'

/** Signing a member out: their sessions in this tenant, on whatever device. */
export const memberSessionRoutes = newRoutes().post(
  '/:id/end-sessions',
  valid('param', z.object({ id: ids.user })),
  async (c) => {
    await endMemberSessions(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  },
)
