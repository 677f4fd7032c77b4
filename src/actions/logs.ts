import { listLogs, type LogFilter, type LogLine } from '#src/db/logs.ts'
import { recordOf, type Place, type RunEvent, type RunRecord } from '#src/db/run-record.ts'
import type { RunId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { allow, type Context } from './context.ts'

/** Where a page starts: after the last one of the page before it, or after the number that was asked for. */
const startOf = (page: PageRequest, after: number): number => Number(page.after?.[0] ?? after)

export async function readLogs(
  ctx: Context,
  id: RunId,
  { after = 0, ...filter }: LogFilter & { after?: number | undefined },
  page: PageRequest,
): Promise<Page<LogLine>> {
  allow(ctx, 'runs:read', { kind: 'run', id })
  const lines = await listLogs(ctx.tenantDb, id, filter, startOf(page, after), page.limit)
  return toPage(lines, page.limit, ({ seq }) => [String(seq)])
}

export async function readEvents(
  ctx: Context,
  id: RunId,
  after: number,
  page: PageRequest,
): Promise<Page<RunEvent>> {
  allow(ctx, 'runs:read', { kind: 'run', id })
  const place = { event: startOf(page, after), line: 0 }
  const { events } = await recordOf(ctx.tenantDb, id, place, { events: page.limit + 1, lines: 0 })
  return toPage(events, page.limit, ({ seq }) => [String(seq)])
}

export async function readRecord(
  ctx: Context,
  id: RunId,
  after: Place,
  most: { events: number; lines: number },
  isFirst: boolean,
): Promise<RunRecord> {
  allow(ctx, 'runs:read', { kind: 'run', id })
  return recordOf(ctx.tenantDb, id, after, most, isFirst)
}
