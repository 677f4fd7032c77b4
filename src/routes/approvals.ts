import * as z from 'zod'
import { decideStep } from '#src/actions/approvals.ts'
import { ids } from '#src/domain/id.ts'
import { indexOfItem, mostItems } from '#src/domain/item-place.ts'
import { newRoutes } from '#src/http/api.ts'
import { valid } from '#src/http/valid.ts'

const oneStep = z.object({ id: ids.run, step: z.string().min(1).max(130) })
const decision = z.strictObject({
  comment: z.string().trim().min(1).max(1_000).optional(),
  /** Of a map: which of its items. */
  item: z.int().min(1).max(mostItems).optional(),
  /** Of a map inside another one (outer.inner): which item of that. */
  outer: z.int().min(1).max(mostItems).optional(),
})

export const approvalRoutes = newRoutes()
  .post('/:id/steps/:step/approve', valid('param', oneStep), valid('json', decision), async (c) => {
    const { id: runId, step } = c.req.valid('param')
    const { comment, ...place } = c.req.valid('json')
    return c.json(
      await decideStep(c.var.ctx, { runId, step, mapIndex: indexOfItem(place) }, { approved: true, comment }),
      200,
    )
  })
  .post('/:id/steps/:step/reject', valid('param', oneStep), valid('json', decision), async (c) => {
    const { id: runId, step } = c.req.valid('param')
    const { comment, ...place } = c.req.valid('json')
    return c.json(
      await decideStep(
        c.var.ctx,
        { runId, step, mapIndex: indexOfItem(place) },
        { approved: false, comment },
      ),
      200,
    )
  })
