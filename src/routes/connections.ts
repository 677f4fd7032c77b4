import * as z from 'zod'
import {
  checkConnection,
  createConnection,
  deleteConnection,
  readConnection,
  readConnections,
  readStreams,
  updateConnection,
} from '#src/actions/connections.ts'
import { deleteFile, newUpload, readFiles } from '#src/actions/files.ts'
import type { Connection } from '#src/db/connections.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter')
const newConnection = z.strictObject({
  name,
  kind: z.enum(['postgres', 'files']),
  config: z.record(z.string(), z.unknown()).default({}),
  secret: z.record(z.string(), z.unknown()).optional(),
})
const change = z.strictObject({
  name: name.optional(),
  config: z.record(z.string(), z.unknown()).optional(),
  secret: z.record(z.string(), z.unknown()).optional(),
})
const newFile = z.strictObject({
  name: z.string().min(1).max(200),
  bytes: z.number().int().min(0),
  contentType: z.string().max(100).optional(),
})
const oneConnection = z.object({ id: ids.connection })
const oneFile = z.object({ id: ids.connection, name: z.string().min(1).max(200) })
const fileQuery = z.strictObject({ cursor: z.string().max(2000).optional() })

/** The secret is never here: it only goes in. */
const toJson = (connection: Connection) => ({
  id: connection.id,
  name: connection.name,
  kind: connection.kind,
  config: connection.config,
  hasSecret: connection.secret !== null,
  createdAt: connection.createdAt.toISOString(),
  updatedAt: connection.updatedAt.toISOString(),
})

export const connectionRoutes = newRoutes()
  .post('/', valid('json', newConnection), async (c) => {
    const made = await createConnection(c.var.ctx, c.req.valid('json'))
    c.header('ETag', etagOf(made.version))
    return created(c, `/v1/connections/${made.id}`, toJson(made))
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readConnections(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/:id', valid('param', oneConnection), async (c) => {
    const connection = await readConnection(c.var.ctx, c.req.valid('param').id)
    return single(c, toJson(connection), etagOf(connection.version))
  })
  .patch('/:id', valid('param', oneConnection), valid('json', change), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateConnection(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(toJson(changed), 200)
  })
  .delete('/:id', valid('param', oneConnection), async (c) => {
    await deleteConnection(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
  .post('/:id/check', valid('param', oneConnection), async (c) =>
    c.json(await checkConnection(c.var.ctx, c.req.valid('param').id), 200),
  )
  .get('/:id/streams', valid('param', oneConnection), async (c) =>
    c.json({ items: await readStreams(c.var.ctx, c.req.valid('param').id) }, 200),
  )
  .post('/:id/files', valid('param', oneConnection), valid('json', newFile), async (c) => {
    const { expiresAt, ...upload } = await newUpload(c.var.ctx, c.req.valid('param').id, c.req.valid('json'))
    return c.json({ upload: { ...upload, expiresAt: expiresAt.toISOString() } }, 201)
  })
  .get('/:id/files', valid('param', oneConnection), valid('query', fileQuery), async (c) => {
    const { files, next } = await readFiles(c.var.ctx, c.req.valid('param').id, c.req.valid('query').cursor)
    const items = files.map(({ changedAt, ...file }) => ({ ...file, changedAt: changedAt.toISOString() }))
    return c.json({ items, ...(next ? { nextCursor: next } : {}) }, 200)
  })
  .delete('/:id/files/:name', valid('param', oneFile), async (c) => {
    const { id, name: file } = c.req.valid('param')
    await deleteFile(c.var.ctx, id, file)
    return c.body(null, 204)
  })
