import { StepFailure } from '#src/domain/failure.ts'
import { decodeBlock, cellsOf } from './block.ts'
import { makeFields, scanRows } from './scan.ts'
import type { Sample } from './sample.ts'

/** As many as a Postgres table can have. */
const maxColumns = 1600
const candidates = [',', ';', '\t', '|']

/** `bodyAt`: where the first row after the header begins. */
export type Header = { names: string[]; delimiter: number; bodyAt: number }

export function readHeader(sample: Sample, file: string, declared?: string): Header {
  const delimiter = (declared ?? sniff(sample)).charCodeAt(0)
  const first = recordAt(sample, sample.bodyAt, delimiter)
  const bad = (why: string): StepFailure => new StepFailure('bad_header', `The file "${file}": ${why}.`)
  if (!first || hasOnlyCarriageReturns(sample)) throw bad(whyNoHeader(sample))
  const names = first.values.map((name) => name.trim())
  if (names.length > maxColumns)
    throw bad(`it has ${names.length} columns, more than the ${maxColumns} that a table can have`)
  const empty = names.indexOf('')
  if (empty >= 0) throw bad(`column ${empty + 1} has no name in the header; give it one`)
  const repeated = names.findIndex((name, i) => names.indexOf(name) !== i)
  if (repeated >= 0) throw bad(`two columns are called "${names[repeated]}" in the header; rename one`)
  return { names, delimiter, bodyAt: first.next }
}

const hasOnlyCarriageReturns = ({ bytes }: { bytes: Uint8Array }): boolean =>
  bytes.includes(0x0d) && !bytes.includes(0x0a)

function whyNoHeader({ bytes, bodyAt }: Sample): string {
  const lineEnd = bytes.indexOf(0x0a, bodyAt)
  if (hasOnlyCarriageReturns({ bytes })) return 'its lines end with CR alone; save it with LF or CRLF'
  const decoded = decodeBlock(bytes.subarray(bodyAt, lineEnd < 0 ? bytes.length : lineEnd))
  if (!('text' in decoded))
    return decoded.what === 'nul' ? 'its header holds a NUL byte' : 'its header is not UTF-8'
  return 'its header cannot be read; is a quote left open, or is it longer than a megabyte?'
}

/** The delimiter that cuts the first rows into the same number of fields, and into the most. */
function sniff(sample: Sample): string {
  let best = { delimiter: ',', agreeing: 0, columns: 0 }
  for (const delimiter of candidates) {
    const widths: number[] = []
    for (let at = sample.bodyAt; widths.length < 20;) {
      const record = recordAt(sample, at, delimiter.charCodeAt(0))
      if (!record) break
      widths.push(record.values.length)
      at = record.next
    }
    const columns = widths[0] ?? 0
    const agreeing = widths.filter((width) => width === columns).length / Math.max(1, widths.length)
    if (columns < 2) continue
    if (agreeing > best.agreeing || (agreeing === best.agreeing && columns > best.columns))
      best = { delimiter, agreeing, columns }
  }
  return best.delimiter
}

/** One record of however many fields; undefined at the end, or when the sample cuts it off. */
function recordAt(
  { bytes, isWhole }: Sample,
  from: number,
  delimiter: number,
): { values: string[]; next: number } | undefined {
  let columns = 1
  let start = from
  while (bytes[start] === 0x0a || (bytes[start] === 0x0d && bytes[start + 1] === 0x0a)) start++
  if (start >= bytes.length) return undefined
  for (;;) {
    const fields = makeFields(columns)
    const scanned = scanRows(
      bytes,
      start,
      bytes.length,
      { isEnd: isWhole, delimiter, columns, maxRows: 1 },
      fields,
    )
    if (scanned.problem?.kind === 'ragged' && scanned.problem.found > columns) {
      columns = scanned.problem.found
      continue
    }
    if (scanned.rows === 0) return undefined
    const decoded = decodeBlock(bytes.subarray(start, scanned.next))
    if (!('text' in decoded)) return undefined
    const cells = cellsOf({ bytes, from: start, to: scanned.next, text: decoded.text }, fields, columns, 1)
    return { values: Array.from({ length: columns }, (_, slot) => cells.textOf(slot)), next: scanned.next }
  }
}
