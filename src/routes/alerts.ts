import * as z from 'zod'
import { readAlerts, resolveAlert } from '#src/actions/alerts.ts'
import type { Alert } from '#src/db/alerts.ts'
import { alertKinds, alertStates } from '#src/domain/alert.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const oneAlert = z.object({ id: ids.alert })
const filters = {
  state: z.enum(alertStates).optional(),
  kind: z.enum(alertKinds).optional(),
  pipelineId: ids.pipeline.optional(),
  runId: ids.run.optional(),
}

const toJson = (alert: Alert) => ({
  id: alert.id,
  kind: alert.kind,
  ...(alert.kind === 'escalated' || alert.kind === 'quota' ? { level: alert.level } : {}),
  ...(alert.pipelineId ? { pipelineId: alert.pipelineId } : {}),
  ...(alert.pipelineName ? { pipelineName: alert.pipelineName } : {}),
  ...(alert.quota ? { quota: alert.quota } : {}),
  ...(alert.runId ? { runId: alert.runId } : {}),
  ...(alert.scheduleId ? { scheduleId: alert.scheduleId } : {}),
  ...(alert.dueAt ? { dueAt: alert.dueAt.toISOString() } : {}),
  state: alert.state,
  detail: alert.detail,
  at: alert.at.toISOString(),
  ...(alert.resolvedAt ? { resolvedAt: alert.resolvedAt.toISOString() } : {}),
  ...(alert.resolvedBy ? { resolvedBy: alert.resolvedBy } : {}),
})

export const alertRoutes = newRoutes()
  .get('/', valid('query', listQuery(filters)), async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query')
    return page(c, await readAlerts(c.var.ctx, filter, await pageRequest(c, { limit, cursor })), toJson)
  })
  .post('/:id/resolve', valid('param', oneAlert), async (c) =>
    c.json(toJson(await resolveAlert(c.var.ctx, c.req.valid('param').id)), 200),
  )
