const quote = 0x22
const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Where the fields of some rows lie in the bytes, row after row. `kinds`: 0 bare, 1 quoted, 2 quoted with "" inside. */
export type Fields = { starts: Int32Array; ends: Int32Array; kinds: Uint8Array }

export type RowProblem =
  | { kind: 'ragged'; found: number }
  | { kind: 'after_quote'; column: number }
  | { kind: 'unterminated'; column: number }

export type Scanned = {
  rows: number
  /** Where the first byte not consumed is. */
  next: number
  /** What is wrong with the row after the last good one. */
  problem?: RowProblem
  /** The bytes ended within a quoted field. */
  inQuote: boolean
}

export function makeFields(count: number): Fields {
  return { starts: new Int32Array(count), ends: new Int32Array(count), kinds: new Uint8Array(count) }
}

/** One table for each delimiter: 1 where a bare field may end. */
const stops = new Map<number, Uint8Array>()
function stopsOf(delimiter: number): Uint8Array {
  let table = stops.get(delimiter)
  if (!table) {
    table = new Uint8Array(256)
    table[delimiter] = 1
    table[lineFeed] = 1
    stops.set(delimiter, table)
  }
  return table
}

/**
 * Finds the fields of up to `maxRows` whole rows between `from` and `to` (RFC 4180, LF or CRLF, blank lines skipped). A
 * row that the bytes cut off is left for the next call, unless `isEnd` says that nothing follows.
 */
export function scanRows(
  bytes: Uint8Array,
  from: number,
  to: number,
  options: { isEnd: boolean; delimiter: number; columns: number; maxRows: number },
  out: Fields,
): Scanned {
  const { isEnd, delimiter, columns, maxRows } = options
  const { starts, ends, kinds } = out
  const stop = stopsOf(delimiter)
  let rows = 0
  let next = from
  let inQuote = false

  while (rows < maxRows && next < to) {
    const base = rows * columns
    let p = next
    let column = 0
    let isLastField = false
    do {
      let start = p
      let end: number
      let kind = 0
      if (p < to && bytes[p] === quote) {
        kind = 1
        start = ++p
        for (;;) {
          while (p < to && bytes[p] !== quote) p++
          if (p >= to) {
            if (isEnd) return { rows, next, problem: { kind: 'unterminated', column }, inQuote: true }
            return { rows, next, inQuote: true }
          }
          if (p + 1 < to && bytes[p + 1] === quote) {
            kind = 2
            p += 2
            continue
          }
          if (p + 1 >= to && !isEnd) return { rows, next, inQuote: true }
          break
        }
        end = p++
        if (p < to && bytes[p] === carriageReturn) {
          if (p + 1 >= to && !isEnd) return { rows, next, inQuote }
          if (p + 1 >= to || bytes[p + 1] === lineFeed) p++
        }
        if (p < to && (stop[bytes[p] ?? 0] ?? 0) === 0)
          return { rows, next, problem: { kind: 'after_quote', column }, inQuote }
      } else {
        while (p < to && (stop[bytes[p] ?? 0] ?? 0) === 0) p++
        end = p
      }
      if (p >= to && !isEnd) return { rows, next, inQuote }
      isLastField = p >= to || bytes[p] === lineFeed
      if (isLastField && kind === 0 && end > start && bytes[end - 1] === carriageReturn) end--
      if (column < columns) {
        const slot = base + column
        starts[slot] = start
        ends[slot] = end
        kinds[slot] = kind
      }
      column++
      p++
    } while (!isLastField)

    const isBlank = column === 1 && kinds[base] === 0 && starts[base] === ends[base]
    if (isBlank && columns > 1) {
      next = Math.min(p, to)
      continue
    }
    if (column !== columns) return { rows, next, problem: { kind: 'ragged', found: column }, inQuote }
    next = Math.min(p, to)
    rows++
  }
  return { rows, next, inQuote }
}
