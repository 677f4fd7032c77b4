import * as z from 'zod'
import {
  createStream,
  deleteStream,
  readStream,
  readStreams,
  updateStream,
} from '#src/actions/audit-streams.ts'
import type { AuditStream } from '#src/db/audit-streams.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const fields = {
  name: z.string().trim().min(1).max(100),
  url: z.string().max(2_000),
  secret: z.string().max(200),
  /** Beginnings of actions. */
  actions: z.array(z.string().regex(/^[a-z][a-z_.-]{0,60}$/)).max(50),
}
const newStream = z.strictObject({
  ...fields,
  secret: fields.secret.optional(),
  actions: fields.actions.default([]),
  fromBeginning: z.boolean().default(false),
})
const change = z.strictObject(fields).partial()
const oneStream = z.object({ id: ids.auditStream })

const toJson = (stream: AuditStream) => ({
  id: stream.id,
  name: stream.name,
  url: stream.url,
  actions: stream.actions,
  delivered: stream.cursor,
  ...(stream.failure ? { failure: { ...stream.failure, attempts: stream.attempts } } : {}),
  ...(stream.disabledAt ? { disabledAt: stream.disabledAt.toISOString() } : {}),
  createdAt: stream.createdAt.toISOString(),
  updatedAt: stream.updatedAt.toISOString(),
})

export const auditStreamRoutes = newRoutes()
  .post('/', valid('json', newStream), async (c) => {
    const { stream, secret } = await createStream(c.var.ctx, c.req.valid('json'))
    c.header('ETag', etagOf(stream.version))
    return created(c, `/v1/audit/streams/${stream.id}`, { ...toJson(stream), ...(secret ? { secret } : {}) })
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readStreams(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/:id', valid('param', oneStream), async (c) => {
    const stream = await readStream(c.var.ctx, c.req.valid('param').id)
    return single(c, toJson(stream), etagOf(stream.version))
  })
  .patch('/:id', valid('param', oneStream), valid('json', change), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateStream(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(toJson(changed), 200)
  })
  .delete('/:id', valid('param', oneStream), async (c) => {
    await deleteStream(c.var.ctx, c.req.valid('param').id, expectedIfSaid(c))
    return c.body(null, 204)
  })
