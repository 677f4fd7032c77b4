import type { TenantDb } from './database.ts'
import { asQueryRole } from './datasets.ts'
import { sqlStateOf } from './failure.ts'

/** No regular expression, or one that takes longer to understand than anybody waits. */
const refusals = new Set(['2201B', '57014'])
const mostMs = 5_000

/** Which of these are no regular expressions to PostgreSQL, which is what they run in; the server itself is asked. */
export async function badPatterns(db: TenantDb, patterns: readonly string[]): Promise<string[]> {
  if (await areGood(db, patterns)) return []
  const verdicts = await Promise.all(patterns.map((pattern) => areGood(db, [pattern])))
  return patterns.filter((_, i) => verdicts[i] === false)
}

async function areGood(db: TenantDb, patterns: readonly string[]): Promise<boolean> {
  if (patterns.length === 0) return true
  try {
    const text = `select '' ~ pattern from jsonb_array_elements_text($1::jsonb) as p(pattern)`
    await db.statements(asQueryRole([{ text, params: [JSON.stringify(patterns)] }], mostMs))
    return true
  } catch (error) {
    if (refusals.has(sqlStateOf(error) ?? '')) return false
    throw error
  }
}
