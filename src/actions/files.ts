import { fileKey, filesPrefix } from '#src/connectors/files/key.ts'
import { noteOwn } from '#src/db/audit.ts'
import { getConnection } from '#src/db/connections.ts'
import { promiseFile, settleFile } from '#src/db/stored-files.ts'
import type { ConnectionId } from '#src/domain/id.ts'
import type { Page, PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { SignedRequest } from '#src/storage/storage.ts'
import { allow, type Context } from './context.ts'
import { outside } from './outside.ts'
import { quotaRefusal } from './quotas.ts'

export type StoredFile = { name: string; bytes: number; changedAt: Date }

/** How long an upload may take to begin. */
const uploadS = 15 * 60
/** What object storage takes in one PUT. */
const mostBytes = 5 * 1024 ** 3

/** Where to PUT a file; it goes to the object storage and never through the Worker. */
export async function newUpload(
  ctx: Context,
  connectionId: ConnectionId,
  file: { name: string; bytes: number; contentType?: string | undefined },
): Promise<SignedRequest & { expiresAt: Date }> {
  allow(ctx, 'connections:write', { kind: 'connection', id: connectionId })
  await filesConnection(ctx, connectionId)
  if (file.bytes > mostBytes) throw new Problem('too_large', `A file may have ${mostBytes} bytes at most.`)
  const full = await promiseFile(ctx.tenantDb, connectionId, file.name, file.bytes)
  if (full) throw quotaRefusal(ctx, full)
  const upload = await ctx.services.storage.signedUpload(fileKey(ctx.tenantId, connectionId, file.name), {
    expiresInS: uploadS,
    bytes: file.bytes,
    ...(file.contentType ? { contentType: file.contentType } : {}),
  })
  await noteFile(ctx, 'file.upload', connectionId, file)
  return { ...upload, expiresAt: new Date(ctx.now().getTime() + uploadS * 1000) }
}

export async function readFiles(
  ctx: Context,
  connectionId: ConnectionId,
  { limit, after }: PageRequest,
): Promise<Page<StoredFile>> {
  allow(ctx, 'connections:read', { kind: 'connection', id: connectionId })
  await filesConnection(ctx, connectionId)
  const prefix = filesPrefix(connectionId)
  const listed = await outside(ctx.services.storage.list(ctx.tenantId, prefix, after?.[0], limit))
  const folder = `tenants/${ctx.tenantId}/${prefix}`
  const items = listed.objects.map(({ key, bytes, changedAt }) => ({
    name: key.slice(folder.length),
    bytes,
    changedAt,
  }))
  return { items, ...(listed.cursor ? { next: [listed.cursor] } : {}) }
}

export async function readFile(
  ctx: Context,
  connectionId: ConnectionId,
  name: string,
): Promise<{ name: string; bytes: number; etag: string }> {
  allow(ctx, 'connections:read', { kind: 'connection', id: connectionId })
  await filesConnection(ctx, connectionId)
  const stored = await outside(ctx.services.storage.head(fileKey(ctx.tenantId, connectionId, name)))
  if (!stored) throw notFound('file')
  return { name, ...stored }
}

export async function deleteFile(ctx: Context, connectionId: ConnectionId, name: string): Promise<void> {
  allow(ctx, 'connections:write', { kind: 'connection', id: connectionId })
  await filesConnection(ctx, connectionId)
  const key = fileKey(ctx.tenantId, connectionId, name)
  if (!(await outside(ctx.services.storage.head(key)))) throw notFound('file')
  await outside(ctx.services.storage.remove(key))
  await settleFile(ctx.tenantDb, connectionId, name, undefined)
  await noteFile(ctx, 'file.delete', connectionId, { name })
}

/** Files are not rows, so no transaction has what happens to them. */
const noteFile = (
  ctx: Context,
  action: string,
  connectionId: ConnectionId,
  { name, bytes }: { name: string; bytes?: number },
): Promise<void> =>
  noteOwn(ctx.tenantDb, {
    action,
    kind: 'file',
    id: `${connectionId}/${name}`.slice(0, 300),
    details: { name, ...(bytes === undefined ? {} : { bytes }) },
  })

async function filesConnection(ctx: Context, id: ConnectionId): Promise<void> {
  const connection = await getConnection(ctx.tenantDb, id)
  if (connection.kind !== 'files')
    throw new Problem('conflict', `Connection "${connection.name}" holds no files.`)
}
