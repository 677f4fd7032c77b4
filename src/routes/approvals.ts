import * as z from 'zod'
import { decideStep, readApprovals } from '#src/actions/approvals.ts'
import type { WaitingApproval } from '#src/db/answers.ts'
import { ids } from '#src/domain/id.ts'
import { indexOfItem, mostItems, placeOfItem } from '#src/domain/item-place.ts'
import { newRoutes } from '#src/http/api.ts'
import { listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const oneStep = z.object({ id: ids.run, step: z.string().min(1).max(130) })
const decision = z.strictObject({
  comment: z.string().trim().min(1).max(1_000).optional(),
  /** Of a map: which of its items. */
  item: z.int().min(1).max(mostItems).optional(),
  /** Of a map inside another one (outer.inner): which item of that. */
  outer: z.int().min(1).max(mostItems).optional(),
})

const toJson = ({ position: _, mapIndex, message, since, until, ...approval }: WaitingApproval) => ({
  ...approval,
  ...(mapIndex === 0 ? {} : placeOfItem(mapIndex)),
  ...(message === null ? {} : { message }),
  ...(since ? { since: since.toISOString() } : {}),
  ...(until ? { until: until.toISOString() } : {}),
})

/** What waits for somebody, in all runs of the tenant. */
export const approvalListRoutes = newRoutes().get('/', valid('query', listQuery({})), async (c) =>
  page(c, await readApprovals(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
)

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
