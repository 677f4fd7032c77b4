import * as z from 'zod'
import { resetConnection } from '#src/actions/control.ts'
import {
  checkConnection,
  createConnection,
  deleteConnection,
  readConnection,
  readConnections,
  readStreams,
  updateConnection,
} from '#src/actions/connections.ts'
import { deleteFile, newUpload, readFile, readFiles, type StoredFile } from '#src/actions/files.ts'
import type { Connection } from '#src/db/connections.ts'
import { fileName } from '#src/domain/file-name.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter')
/** Steps at work with it at once; null is no limit. */
const concurrency = z.number().int().min(1).max(1_000).nullable().optional()
const newConnection = z.strictObject({
  name,
  kind: z.enum(['postgres', 'files']),
  config: z.record(z.string(), z.unknown()).default({}),
  secret: z.record(z.string(), z.unknown()).optional(),
  concurrency,
  projectId: ids.project.optional(),
})
const change = z.strictObject({
  name: name.optional(),
  config: z.record(z.string(), z.unknown()).optional(),
  secret: z.record(z.string(), z.unknown()).nullable().optional(),
  concurrency,
})
const newFile = z.strictObject({
  name: fileName,
  bytes: z.number().int().min(0),
  contentType: z
    .string()
    .max(100)
    .regex(/^[\w.+-]+\/[\w.+-]+(; ?[\w.+-]+=[\w.+-]+)*$/, 'must be a media type such as text/csv')
    .optional(),
})
const oneConnection = z.object({ id: ids.connection })
const oneFile = z.object({ id: ids.connection, name: fileName })

/** The secret is never here: it only goes in. */
const toJson = (connection: Connection) => ({
  id: connection.id,
  name: connection.name,
  kind: connection.kind,
  ...(connection.projectId ? { projectId: connection.projectId } : {}),
  config: connection.config,
  hasSecret: connection.secret !== null,
  ...(connection.concurrency === null ? {} : { concurrency: connection.concurrency }),
  createdAt: connection.createdAt.toISOString(),
  updatedAt: connection.updatedAt.toISOString(),
})

/** How it stands with the other side, where that is not well. */
const withHealth = (connection: Connection) => ({
  ...toJson(connection),
  ...(connection.failures > 0 ? { failures: connection.failures } : {}),
  ...(connection.restsUntil ? { restsUntil: connection.restsUntil.toISOString() } : {}),
})

const fileToJson = ({ changedAt, ...file }: StoredFile) => ({ ...file, changedAt: changedAt.toISOString() })

export const connectionRoutes = newRoutes()
  .post('/', valid('json', newConnection), async (c) => {
    const made = await createConnection(c.var.ctx, c.req.valid('json'))
    c.header('ETag', etagOf(made.version))
    return created(c, `/v1/connections/${made.id}`, toJson(made))
  })
  .get('/', valid('query', listQuery({ project: ids.project.optional() })), async (c) => {
    const { project, ...paging } = c.req.valid('query')
    return page(c, await readConnections(c.var.ctx, await pageRequest(c, paging), project), toJson)
  })
  .get('/:id', valid('param', oneConnection), async (c) => {
    const connection = await readConnection(c.var.ctx, c.req.valid('param').id)
    const etag = etagOf(connection.version)
    if (connection.failures === 0) return single(c, withHealth(connection), etag)
    // Its failures come and go within one version, so nobody may keep them.
    return c.json(withHealth(connection), 200, { ETag: etag, 'Cache-Control': 'no-store' })
  })
  .patch('/:id', valid('param', oneConnection), valid('json', change), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateConnection(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(toJson(changed), 200)
  })
  .delete('/:id', valid('param', oneConnection), async (c) => {
    await deleteConnection(c.var.ctx, c.req.valid('param').id, expectedIfSaid(c))
    return c.body(null, 204)
  })
  .post('/:id/reset', valid('param', oneConnection), async (c) => {
    const connection = await resetConnection(c.var.ctx, c.req.valid('param').id)
    return c.json(withHealth(connection), 200)
  })
  .post('/:id/check', valid('param', oneConnection), async (c) =>
    c.json(await checkConnection(c.var.ctx, c.req.valid('param').id), 200),
  )
  .get('/:id/streams', valid('param', oneConnection), async (c) =>
    c.json({ items: await readStreams(c.var.ctx, c.req.valid('param').id) }, 200),
  )
  .post('/:id/files', valid('param', oneConnection), valid('json', newFile), async (c) => {
    const { id } = c.req.valid('param')
    const file = c.req.valid('json')
    const { expiresAt, ...upload } = await newUpload(c.var.ctx, id, file)
    const location = `/v1/connections/${id}/files/${encodeURIComponent(file.name)}`
    return created(c, location, { upload: { ...upload, expiresAt: expiresAt.toISOString() } })
  })
  .get('/:id/files', valid('param', oneConnection), valid('query', listQuery({})), async (c) => {
    const asked = await pageRequest(c, c.req.valid('query'))
    return page(c, await readFiles(c.var.ctx, c.req.valid('param').id, asked), fileToJson)
  })
  .get('/:id/files/:name', valid('param', oneFile), async (c) => {
    const { id, name: file } = c.req.valid('param')
    const { etag, ...stored } = await readFile(c.var.ctx, id, file)
    return single(c, stored, etag)
  })
  .delete('/:id/files/:name', valid('param', oneFile), async (c) => {
    const { id, name: file } = c.req.valid('param')
    await deleteFile(c.var.ctx, id, file)
    return c.body(null, 204)
  })
