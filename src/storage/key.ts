import type { TenantId } from '#src/domain/id.ts'
import { ids } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'

/** The name of a stored object. Every one of them belongs to a tenant. */
export type StorageKey = `tenants/${TenantId}/${string}`

const maxBytes = 512
const encoder = new TextEncoder()

function whatIsWrong(key: string): string | undefined {
  const [root, tenant, ...rest] = key.split('/')
  if (root !== 'tenants' || !ids.tenant.safeParse(tenant).success || rest.length === 0)
    return "is not below a tenant's own folder"
  if (rest.some((part) => part === '')) return 'has an empty part'
  if (rest.some((part) => part === '.' || part.includes('..'))) return "holds '..'"
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f-\u009f\\]/.test(key)) return 'holds a control character or a backslash'
  if (!key.isWellFormed()) return 'is not well-formed Unicode'
  if (encoder.encode(key).length > maxBytes) return `is longer than ${maxBytes} bytes`
  return undefined
}

/** The one gate that every key passes, whoever made it: a key cannot leave its tenant's folder. */
export function checkKey(key: string): StorageKey {
  const wrong = whatIsWrong(key)
  if (wrong) throw new Problem('invalid', `The name of the stored file ${wrong}.`)
  return key as StorageKey
}

/** `tenantKey('ten_…', 'files', 'airports.csv')` is `tenants/ten_…/files/airports.csv`. */
export function tenantKey(tenantId: TenantId, ...parts: string[]): StorageKey {
  return checkKey(['tenants', tenantId, ...parts].join('/'))
}
