import * as z from 'zod'
import { StepFailure } from '#src/domain/failure.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Storage } from '#src/storage/storage.ts'
import type { CheckResult, Stream } from '../connector.ts'
import { discoverFile } from './files.ts'

/** A files connection is a folder of the tenant's in Weir's own object storage: there is nothing to configure. */
export const filesConfig = z.strictObject({})
export const filesSecret = z.strictObject({})

export type Folder = { tenantId: TenantId; prefix: string }

/** Files that a look at the connection describes; the others are still there to be read by name. */
const mostDescribed = 100

export async function checkFiles(storage: Storage, { tenantId, prefix }: Folder): Promise<CheckResult> {
  try {
    const { objects, cursor } = await storage.list(tenantId, prefix)
    return { ok: true, detail: cursor ? `More than ${objects.length} files.` : `${objects.length} files.` }
  } catch (error) {
    if (error instanceof StepFailure) return { ok: false, code: error.code, detail: error.message }
    throw error
  }
}

/** Every file with its columns; one that cannot be read has none. */
export async function discoverFiles(
  storage: Storage,
  { tenantId, prefix }: Folder,
  signal: AbortSignal,
): Promise<Stream[]> {
  const { objects } = await storage.list(tenantId, prefix)
  const streams: Stream[] = []
  for (const { key, bytes } of objects.slice(0, mostDescribed)) {
    const name = key.slice(`tenants/${tenantId}/${prefix}`.length)
    try {
      streams.push(await discoverFile(storage, key, { name, signal }))
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error
      streams.push({ name, columns: [], bytes })
    }
  }
  return streams
}
