import { fileKey, filesPrefix } from '#src/connectors/files/key.ts'
import { getConnection } from '#src/db/connections.ts'
import { beginRemoval, endRemoval, promiseFile } from '#src/db/stored-files.ts'
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

/**
 * Where to PUT a file; it goes to the object storage and never through the Worker. That it may come is in the audit log
 * before anybody can upload it, and whether it came is added by the tick.
 */
export async function newUpload(
  ctx: Context,
  connectionId: ConnectionId,
  file: { name: string; bytes: number; contentType?: string | undefined },
): Promise<SignedRequest & { expiresAt: Date }> {
  allow(ctx, 'connections:write', { kind: 'connection', id: connectionId })
  await filesConnection(ctx, connectionId)
  if (file.bytes > mostBytes) throw new Problem('too_large', `A file may have ${mostBytes} bytes at most.`)
  const refused = await promiseFile(ctx.tenantDb, connectionId, file.name, file.bytes)
  if (refused?.refused === 'quota') throw quotaRefusal(ctx, refused.quota)
  if (refused)
    throw new Problem('conflict', 'A file of this name is being removed; try again in a few minutes.')
  const upload = await ctx.services.storage.signedUpload(fileKey(ctx.tenantId, connectionId, file.name), {
    expiresInS: uploadS,
    bytes: file.bytes,
    ...(file.contentType ? { contentType: file.contentType } : {}),
  })
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
  return { name, bytes: stored.bytes, etag: stored.etag }
}

/** Noted before it begins and after it is done. Once begun it is finished, by the tick if the storage does not answer now. */
export async function deleteFile(ctx: Context, connectionId: ConnectionId, name: string): Promise<void> {
  allow(ctx, 'connections:write', { kind: 'connection', id: connectionId })
  await filesConnection(ctx, connectionId)
  const key = fileKey(ctx.tenantId, connectionId, name)
  if (!(await outside(ctx.services.storage.head(key)))) throw notFound('file')
  await beginRemoval(ctx.tenantDb, connectionId, name)
  await outside(ctx.services.storage.remove(key))
  await endRemoval(ctx.tenantDb, connectionId, name).catch(() =>
    ctx.services.log({ event: 'removal_not_noted', requestId: ctx.requestId }),
  )
}

async function filesConnection(ctx: Context, id: ConnectionId): Promise<void> {
  const connection = await getConnection(ctx.tenantDb, id)
  if (connection.kind !== 'files')
    throw new Problem('conflict', `Connection "${connection.name}" holds no files.`)
}
