import type { Db, Say } from './judge.ts'
import type { Rows } from './rows.ts'

/** What tells one table of ids from another: a row lost, there twice or in the place of another shows in it. */
export type Tally = { rows: number; distinct: number; sum: number; squares: number }

/** Undefined when there is no such table. */
export async function tallyOf(db: Db, table: string): Promise<Tally | undefined> {
  const there = await db.query<{ at: string | null }>('select to_regclass($1) as at', [table])
  if (!there.rows[0]?.at) return undefined
  const { rows } = await db.query<Tally>(
    `select count(*)::int as rows, count(distinct id)::int as distinct, coalesce(sum(id), 0)::float8 as sum,
       coalesce(sum(id::bigint * id), 0)::float8 as squares from ${table}`,
  )
  return rows[0]
}

const tallyFor = (rows: Rows): Tally => ({
  rows: rows.length,
  distinct: new Set(rows).size,
  sum: rows.reduce((sum, id) => sum + id, 0),
  squares: rows.reduce((sum, id) => sum + id * id, 0),
})

/** Says what is wrong unless a table is one of those that it may be; no table is like one without rows. */
export function compare(what: string, seen: Tally | undefined, allowed: readonly Rows[], say: Say): void {
  const wanted = allowed.map(tallyFor)
  const found = seen ?? tallyFor([])
  const isOne = wanted.some((one) =>
    (Object.keys(one) as (keyof Tally)[]).every((key) => one[key] === found[key]),
  )
  if (isOne) return
  const words = `${what} has ${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`
  say(found.rows > Math.max(...wanted.map(({ rows }) => rows)) ? 'doubled' : 'lost', words)
}
