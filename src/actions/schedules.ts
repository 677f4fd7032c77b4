import { listSchedules, type Schedule } from '#src/db/schedules.ts'
import type { PipelineId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { allow, type Context } from './context.ts'

/** What fires by itself, of one pipeline or of all. */
export async function readSchedules(
  ctx: Context,
  pipelineId: PipelineId | undefined,
  page: PageRequest,
): Promise<Page<Schedule>> {
  if (pipelineId) allow(ctx, 'pipelines:read', { kind: 'pipeline', id: pipelineId })
  else allow(ctx, 'pipelines:read')
  const asked = { pipelineId: pipelineId ?? null, after: page.after?.[0] ?? null }
  return toPage(await listSchedules(ctx.tenantDb, asked, page.limit), page.limit, ({ id }) => [id])
}
