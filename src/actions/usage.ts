import { readUsage as readRows, type Grouping, type UsageFilter, type UsageRow } from '#src/db/usage.ts'
import { costOf, type Amounts } from '#src/domain/price.ts'
import { Problem } from '#src/domain/problem.ts'
import type { QuotaStanding } from '#src/domain/quota.ts'
import { allow, type Context } from './context.ts'

/** `key` is a day, an id or `tag=value`; empty for what belongs to none. */
export type UsageGroup = { key: string; name?: string; amounts: Amounts; cost: string }
export type Usage = {
  from: string
  to: string
  by: Grouping
  plan: string
  groups: UsageGroup[]
  totals: { amounts: Amounts; cost: string }
  quotas: (QuotaStanding & { left?: number; state: 'ok' | 'warning' | 'used_up' })[]
}

const dayMs = 86_400_000
const mostDays = 400

/** What the tenant has used, what that costs to run, and what is left. */
export async function readUsage(
  ctx: Context,
  asked: Omit<UsageFilter, 'from' | 'to'> & { from?: string | undefined; to?: string | undefined },
): Promise<Usage> {
  allow(ctx, 'usage:read')
  const today = ctx.now().toISOString().slice(0, 10)
  const to = asked.to ?? today
  const from = asked.from ?? `${to.slice(0, 7)}-01`
  const days = (Date.parse(to) - Date.parse(from)) / dayMs
  if (days < 0) throw wrong('from', 'must not be after `to`')
  if (days > mostDays) throw wrong('from', `must be within ${mostDays} days of \`to\``)
  const filter = { ...asked, from, to }
  const { rows, totals, quotas, plan } = await readRows(ctx.tenantDb, filter)
  const groups = [...Map.groupBy(rows, (row) => row.key)].map(([key, of]) => {
    const name = of[0]?.name
    return { key, ...(name ? { name } : {}), ...summed(of) }
  })
  return { from, to, by: asked.by, plan, groups, totals: summed(totals), quotas: quotas.map(standing) }
}

function summed(rows: readonly UsageRow[]): { amounts: Amounts; cost: string } {
  const amounts: Amounts = {}
  for (const { meter, amount } of rows) amounts[meter] = (amounts[meter] ?? 0) + amount
  return { amounts, cost: costOf(amounts) }
}

/** Four fifths are a warning. */
function standing(quota: QuotaStanding): Usage['quotas'][number] {
  const { used, limit, resetsAt } = quota
  if (limit === undefined) return { ...quota, state: 'ok' }
  const state = used >= limit ? 'used_up' : used >= limit * 0.8 ? 'warning' : 'ok'
  return {
    ...quota,
    ...(resetsAt === undefined ? {} : { resetsAt: new Date(resetsAt).toISOString() }),
    left: Math.max(limit - used, 0),
    state,
  }
}

const wrong = (path: string, message: string) =>
  new Problem('malformed', 'Some parameters are not valid.', { fields: [{ path, message }] })
