import type { ColumnType } from '#src/domain/column.ts'
import type { BulkSession } from './bulk-session.ts'
import { quoteIdent } from './compile/quote.ts'
import { tableOf, type DatasetVersion } from './datasets.ts'

/** Pages of 8 KB that are looked at for one piece: as text they are a megabyte or less. */
const pagesAPiece = 64

/** Rows as the text of a JSON array, and the place of the next piece. */
export type JsonPiece = { rows: number; text: string; next: string }

export type JsonLimits = { rows: number; text: number; row: number }

/** Where a version begins: places are those of PostgreSQL's rows, which are never updated here. */
export const firstPlace = '(0,0)'

/**
 * The rows after a place in the order in which they lie, as many as the limits allow and at least one. Undefined at the
 * end; 'row too large' where the next row alone is larger than `limits.row`.
 */
export async function readJson(
  session: BulkSession,
  version: DatasetVersion,
  from: string,
  pages: number,
  limits: JsonLimits,
  signal: AbortSignal,
): Promise<JsonPiece | 'row too large' | undefined> {
  for (let place = from; ;) {
    const page = Number(place.slice(1, place.indexOf(',')))
    if (page >= pages) return undefined
    const end = `(${page + pagesAPiece},0)`
    const [last, taken, found, whole, text] = await textsOf(
      session.copyOut(select(version, place, end, limits), signal),
    )
    if (taken !== whole) return 'row too large'
    if (text && last) return { rows: Number(taken), text: `[${text}]`, next: taken === found ? end : last }
    place = end
  }
}

/** Counts and bounds in the server, so that what comes is bounded however large the rows are. */
function select(version: DatasetVersion, from: string, end: string, limits: JsonLimits): string {
  const values = version.columns.map(
    ({ name, type }) => `${asJson(type, `t.${quoteIdent(name)}`)} as ${quoteIdent(name)}`,
  )
  // Without OFFSET 0 the planner would make each row's text once for each time that it is named.
  const docs = `
    select t.ctid as place, (select row_to_json(r)::text from (select ${values.join(', ')}) r) as doc
    from ${tableOf(version.id)} t where t.ctid > '${from}'::tid and t.ctid < '${end}'::tid offset 0`
  const counted = `
    select place, case when octet_length(doc) <= ${limits.row} then doc end as doc,
      row_number() over rows_before <= ${limits.rows}
        and sum(octet_length(doc)) over rows_before - octet_length(doc) < ${limits.text} as taken
    from (${docs}) docs window rows_before as (rows unbounded preceding)`
  return `
    select (max(place) filter (where taken))::text, (count(*) filter (where taken))::text, count(*)::text,
      (count(doc) filter (where taken))::text, string_agg(doc, ',') filter (where taken)
    from (${counted}) counted`
}

/**
 * Numbers come as numbers where a double holds them and as their digits where it does not; points in time with a Z. The
 * rest is as PostgreSQL writes it.
 */
function asJson(type: ColumnType, value: string): string {
  switch (type) {
    case 'bigint':
      return `case when ${value} between -9007199254740991 and 9007199254740991 then to_json(${value}) else to_json(${value}::text) end`
    case 'decimal':
      return `case when scale(${value}) <= 15 and abs(${value}) < 1e15 and ${value}::float8::numeric = ${value} then to_json(${value}::float8) else to_json(${value}::text) end`
    case 'timestamptz':
      return `case when isfinite(${value}) then to_json((to_json(${value} at time zone 'UTC') #>> '{}') || 'Z') else to_json(${value}::text) end`
    case 'boolean':
    case 'integer':
    case 'double':
    case 'text':
    case 'date':
    case 'timestamp':
    case 'json':
      return value
  }
}

const utf8 = new TextDecoder()

/** The fields of one tuple of text: their count, and each with its length before it, -1 for null. */
async function textsOf(pieces: AsyncGenerator<Uint8Array>): Promise<(string | null)[]> {
  const texts: (string | null)[] = []
  for await (const piece of pieces) {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength)
    for (let at = 2; at < piece.length;) {
      const length = view.getInt32(at)
      at += 4
      texts.push(length < 0 ? null : utf8.decode(piece.subarray(at, at + length)))
      at += Math.max(length, 0)
    }
  }
  return texts
}
