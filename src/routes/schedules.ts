import { readSchedules } from '#src/actions/schedules.ts'
import type { Schedule } from '#src/db/schedules.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const toJson = ({ calendar, nextFireAt, isPaused, ...schedule }: Schedule) => ({
  ...schedule,
  ...(calendar === null ? {} : { calendar }),
  ...(nextFireAt ? { nextFireAt: nextFireAt.toISOString() } : {}),
  paused: isPaused,
})

/** Schedules are written in the definitions of pipelines; here they are looked at. */
export const scheduleRoutes = newRoutes().get(
  '/',
  valid('query', listQuery({ pipelineId: ids.pipeline.optional() })),
  async (c) => {
    const { pipelineId, ...query } = c.req.valid('query')
    return page(c, await readSchedules(c.var.ctx, pipelineId, await pageRequest(c, query)), toJson)
  },
)
