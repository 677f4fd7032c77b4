import { fileKey } from '#src/connectors/files/key.ts'
import { readRequests } from '#src/cache/requests.ts'
import { dueRemovals, endRemoval, promisedFiles, settleFile } from '#src/db/stored-files.ts'
import { addUpUsage, countRequests } from '#src/db/usage.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Services } from './context.ts'
import { refreshTenantRecord } from './tenant-record.ts'

/** One tick's share of each; what is left is the next tick's. */
const most = { tenants: 200, counts: 5_000, files: 50 }

/** Adds up what has been used since the last tick, and lets every isolate know whose quotas are used up or good again. */
export async function addUp(services: Services): Promise<void> {
  await finishRemovals(services)
  await settleUploads(services)
  const changed = new Set<TenantId>(await takeOverRequests(services))
  for (const tenant of await addUpUsage(services.database, most.tenants)) changed.add(tenant)
  for (const tenant of changed) await refreshTenantRecord(services, tenant)
}

/** Redis keeps counting without us: what it does not tell now it tells later. */
async function takeOverRequests(services: Services): Promise<TenantId[]> {
  let days
  try {
    days = await readRequests(services.cache, services.now())
  } catch {
    services.log({ event: 'requests_not_read' })
    return []
  }
  const changed: TenantId[] = []
  for (const { day, epoch, counts } of days) {
    const all = Object.entries(counts)
    for (let i = 0; i < all.length; i += most.counts) {
      const part = Object.fromEntries(all.slice(i, i + most.counts))
      changed.push(...(await countRequests(services.database, day, epoch, part)))
    }
  }
  return changed
}

/** Looks what became of uploads that were promised: the object storage tells nobody. */
async function settleUploads(services: Services): Promise<void> {
  for (const { tenantId, ...file } of await promisedFiles(services.database, most.files)) {
    const stored = await services.storage
      .head(fileKey(tenantId, file.connectionId, file.name))
      .catch(() => null)
    if (stored === null) return
    await settleFile(services.database.tenant(tenantId, 'job:tick'), file, stored)
  }
}

/** Finishes what a request has begun to remove and did not come back from; done twice it is no harm. */
async function finishRemovals(services: Services): Promise<void> {
  for (const { tenantId, connectionId, name } of await dueRemovals(services.database, most.files)) {
    try {
      await services.storage.remove(fileKey(tenantId, connectionId, name))
    } catch (error) {
      if (error instanceof StepFailure && !error.retryable) continue
      return
    }
    await endRemoval(services.database.tenant(tenantId, 'job:tick'), connectionId, name)
  }
}
