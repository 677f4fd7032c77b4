import { getConnection } from '#src/db/connections.ts'
import { fileKey } from '#src/connectors/connectors.ts'
import type { ConnectionId } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { SignedRequest } from '#src/storage/storage.ts'
import { allow, type Context } from './context.ts'

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
  allow(ctx, 'connections:write')
  await filesConnection(ctx, connectionId)
  if (file.bytes > mostBytes) throw new Problem('too_large', `A file may have ${mostBytes} bytes at most.`)
  const upload = await ctx.services.storage.signedUpload(fileKey(ctx.tenantId, connectionId, file.name), {
    expiresInS: uploadS,
    bytes: file.bytes,
    ...(file.contentType ? { contentType: file.contentType } : {}),
  })
  return { ...upload, expiresAt: new Date(ctx.now().getTime() + uploadS * 1000) }
}

export async function readFiles(ctx: Context, connectionId: ConnectionId, cursor: string | undefined) {
  allow(ctx, 'connections:read')
  await filesConnection(ctx, connectionId)
  const folder = fileKey(ctx.tenantId, connectionId, '')
  const listed = await ctx.services.storage.list(ctx.tenantId, folder.slice(`tenants/${ctx.tenantId}/`.length), cursor)
  const files: StoredFile[] = listed.objects.map(({ key, bytes, changedAt }) => ({ name: key.slice(folder.length), bytes, changedAt }))
  return { files, next: listed.cursor }
}

export async function deleteFile(ctx: Context, connectionId: ConnectionId, name: string): Promise<void> {
  allow(ctx, 'connections:write')
  await filesConnection(ctx, connectionId)
  const key = fileKey(ctx.tenantId, connectionId, name)
  if (!(await ctx.services.storage.head(key))) throw notFound('file')
  await ctx.services.storage.remove(key)
}

async function filesConnection(ctx: Context, id: ConnectionId): Promise<void> {
  const connection = await getConnection(ctx.tenantDb, id)
  if (connection.kind !== 'files') throw new Problem('conflict', `Connection "${connection.name}" holds no files.`)
}
