import * as z from 'zod'
import { readUsage, type Usage } from '#src/actions/usage.ts'
import { ids } from '#src/domain/id.ts'
import { meters } from '#src/domain/price.ts'
import { newRoutes } from '#src/http/api.ts'
import { valid } from '#src/http/valid.ts'

const day = z.iso.date()
const asked = z.strictObject({
  from: day.optional(),
  to: day.optional(),
  by: z.enum(['day', 'project', 'tag', 'pipeline']).default('day'),
  projectId: ids.project.optional(),
  pipelineId: ids.pipeline.optional(),
  tag: z.string().min(1).max(100).optional(),
})

/** What is used, by day, project, pipeline or tag, as JSON or (`Accept: text/csv`) as a table. */
export const usageRoutes = newRoutes().get('/', valid('query', asked), async (c) => {
  const usage = await readUsage(c.var.ctx, c.req.valid('query'))
  c.header('Vary', 'Accept', { append: true })
  if (!(c.req.header('accept') ?? '').includes('text/csv')) return c.json(usage, 200)
  const name = `usage-${usage.from}-${usage.to}-by-${usage.by}.csv`
  return c.body(csvOf(usage), 200, {
    'Content-Type': 'text/csv; charset=utf-8; header=present',
    'Content-Disposition': `attachment; filename="${name}"`,
  }) as unknown as never
})

function csvOf({ by, groups }: Usage): string {
  const head = [by, 'name', ...meters, 'costUsd']
  const lines = groups.map(({ key, name, amounts, cost }) => [
    key,
    name ?? '',
    ...meters.map((meter) => String(amounts[meter] ?? 0)),
    cost,
  ])
  return [head, ...lines].map((line) => `${line.map(field).join(',')}\r\n`).join('')
}

/** RFC 4180; what a spreadsheet would take for a formula is made text. */
function field(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
