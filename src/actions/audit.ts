import { noteOwn, searchAudit, type AuditFilter } from '#src/db/audit.ts'
import { readChain, type Ask } from '#src/db/audit-chain.ts'
import type { AuditEntry, ChainPlace, SignedPlace } from '#src/domain/audit.ts'
import { csvLine } from '#src/domain/csv-cell.ts'
import type { Page, PageRequest, Position } from '#src/domain/page.ts'
import { verifyChain, type Verdict } from './audit-verify.ts'
import { allow, type Context } from './context.ts'

/** That somebody read the log is an entry of it. */
export async function readAudit(
  ctx: Context,
  filter: AuditFilter,
  page: PageRequest,
): Promise<Page<AuditEntry>> {
  allow(ctx, 'audit:read')
  return searchAudit(ctx.tenantDb, filter, page, 'audit.read')
}

/** Entries held at once, and noted as shown. */
const exportedAtOnce = 2_000

const exported = [
  'seq',
  'at',
  'actor',
  'actorKind',
  'action',
  'targetKind',
  'targetId',
  'targetName',
  'address',
  'userAgent',
  'credential',
  'requestId',
  'records',
  'details',
  'id',
  'hash',
] as const satisfies (keyof AuditEntry)[]

/** All entries that fit, newest first, as text in pieces. Each piece is noted as it is read. */
export function exportAudit(
  ctx: Context,
  filter: AuditFilter,
  format: 'ndjson' | 'csv',
): AsyncGenerator<string> {
  allow(ctx, 'audit:read')
  return pieces(ctx, filter, format)
}

async function* pieces(ctx: Context, filter: AuditFilter, format: 'ndjson' | 'csv'): AsyncGenerator<string> {
  const before = filter.to ?? ctx.now().toISOString()
  const toText = format === 'csv' ? csvOf : (entry: AuditEntry) => `${JSON.stringify(entry)}\n`
  if (format === 'csv') yield csvLine(exported)
  let after: Position | undefined
  do {
    const found = await searchAudit(
      ctx.tenantDb,
      { ...filter, to: before },
      { limit: exportedAtOnce, after },
      'audit.export',
    )
    yield found.items.map(toText).join('')
    after = found.next
  } while (after)
}

const csvOf = (entry: AuditEntry): string =>
  csvLine(
    exported.map((name) => {
      const value = entry[name]
      if (value === null) return ''
      return typeof value === 'object' ? JSON.stringify(value) : String(value)
    }),
  )

const asking =
  (ctx: Context): Ask =>
  async (text, params) => {
    const [result] = await ctx.tenantDb.statements([{ text, params }])
    return result?.rows ?? []
  }

/** Where the tenant's chain ends: what a customer keeps elsewhere to see that nothing before it was changed. */
export async function readHead(
  ctx: Context,
): Promise<{ head: ChainPlace | undefined; signed: SignedPlace | undefined }> {
  allow(ctx, 'audit:read')
  const { head, signed } = await readChain(asking(ctx), ctx.tenantId)
  return { head, signed }
}

export async function verifyAudit(
  ctx: Context,
  options: { from?: ChainPlace | undefined; head?: ChainPlace | undefined; most: number },
): Promise<Verdict> {
  allow(ctx, 'audit:read')
  const { from, head: pinned, most } = options
  const verdict = await verifyChain(asking(ctx), ctx.tenantId, ctx.services.placeSigner, {
    from,
    pinned,
    most,
  })
  const details = { ok: verdict.ok, checked: verdict.checked }
  await noteOwn(ctx.tenantDb, { action: 'audit.verify', kind: 'audit', details })
  return verdict
}
