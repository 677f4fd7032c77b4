import { tenantRecord, type TenantRecord } from '#src/domain/tenant-record.ts'
import type { TenantId } from '#src/domain/id.ts'
import type { Cache } from './redis.ts'

const keptS = 30

export const tenantRecordKey = (tenantId: TenantId): string => `${tenantId}:record`

/** The three limits stand first: the script that counts requests reads them. */
const written = (record: TenantRecord): string =>
  `${record.limits.user ?? 0} ${record.limits.apiKey ?? 0} ${record.limits.tenant ?? 0} ${JSON.stringify(record)}`

/** Keeps what was read, unless somebody has written a newer one meanwhile. */
export const keepTenantRecord = (cache: Cache, tenantId: TenantId, record: TenantRecord): Promise<unknown> =>
  cache.set(tenantRecordKey(tenantId), written(record), { nx: true, ex: keptS })

/** From now on every isolate goes by this record. */
export const cacheTenantRecord = (cache: Cache, tenantId: TenantId, record: TenantRecord): Promise<unknown> =>
  cache.set(tenantRecordKey(tenantId), written(record), { ex: keptS })

/** Parsed records of this isolate, by their text: parsing one with every request would be most of what a request costs. */
const parsed = new Map<string, TenantRecord>()
const keptHere = 500

/** What was cached; undefined when there is nothing that can be used. */
export function parseTenantRecord(value: string | null): TenantRecord | undefined {
  if (value === null) return undefined
  const known = parsed.get(value)
  if (known) return known
  const [, json] = /^\d{1,9} \d{1,9} \d{1,9} (\{.*\})$/s.exec(value) ?? []
  if (json === undefined) return undefined
  const read = tenantRecord.safeParse(jsonOf(json))
  if (!read.success) return undefined
  if (parsed.size >= keptHere) parsed.clear()
  parsed.set(value, read.data)
  return read.data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
