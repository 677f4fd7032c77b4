import * as z from 'zod'
import { exportAudit, readAudit, readHead, verifyAudit } from '#src/actions/audit.ts'
import { newRoutes } from '#src/http/api.ts'
import { listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const time = z.iso.datetime({ offset: true })
const text = z.string().min(1).max(128)
const filters = {
  actor: text.optional(),
  /** What the action begins with: `pipeline.` or `pipeline.update`. */
  action: z
    .string()
    .regex(/^[a-z][a-z_.-]{0,60}$/, 'must be the beginning of an action like pipeline.update')
    .optional(),
  kind: text.optional(),
  target: text.optional(),
  requestId: text.optional(),
  from: time.optional(),
  to: time.optional(),
  search: z.string().min(1).max(200).optional(),
}
const exportQuery = z.strictObject({ format: z.enum(['ndjson', 'csv']).default('ndjson'), ...filters })
const place = z.strictObject({
  seq: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex'),
})
const mostVerified = 50_000
/** `head` is one that was kept elsewhere, `from` the `next` of an answer before that had come to `most` entries. */
const verification = z.strictObject({
  from: place.optional(),
  head: place.optional(),
  most: z.int().min(1).max(mostVerified).default(mostVerified),
})

const types = { ndjson: 'application/x-ndjson', csv: 'text/csv; charset=utf-8' } as const

/** A source of text as a body: read as fast as it is taken, ended when nobody takes it any more. */
function streamOf(source: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await source.next()
        if (next.done) controller.close()
        else controller.enqueue(encoder.encode(next.value))
      },
      async cancel() {
        await source.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}

export const auditRoutes = newRoutes()
  .get('/', valid('query', listQuery(filters)), async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query')
    const found = await readAudit(c.var.ctx, filter, await pageRequest(c, { limit, cursor }))
    return page(c, found, (entry) => entry)
  })
  .get('/export', valid('query', exportQuery), (c) => {
    const { format, ...filter } = c.req.valid('query')
    return c.body(streamOf(exportAudit(c.var.ctx, filter, format)), 200, {
      'Content-Type': types[format],
      'Content-Disposition': `attachment; filename="audit.${format}"`,
    })
  })
  .get('/head', async (c) => {
    const { head, signed } = await readHead(c.var.ctx)
    return c.json(
      { tenantId: c.var.ctx.tenantId, ...(head ? { head } : {}), ...(signed ? { signed } : {}) },
      200,
    )
  })
  .post('/verify', valid('json', verification), async (c) =>
    c.json(await verifyAudit(c.var.ctx, c.req.valid('json')), 200),
  )
