import type { ColumnSpec, ColumnType } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { excerpt } from '../strings.ts'
import { decodeBlock } from './block.ts'
import { BadCell } from './cells.ts'
import { badBytes, badCell } from './failures.ts'
import { fitsLong, guessText, newGuess, typeOf } from './infer.ts'
import type { Guess } from './infer.ts'
import { isRaw, jsonColumn, parseJson } from './json-values.ts'
import type { RowCutter } from './rows.ts'
import type { Sample } from './sample.ts'

const batchRows = 50_000
const maxColumns = 1600
const lineFeed = 0x0a

/** The keys of the sample's objects in the order they are first seen, and what their values suggest. */
export function inferNdjson(
  file: string,
  { bytes, isWhole, bodyAt }: Sample,
): { names: string[]; types: ColumnType[] } {
  if (bytes.subarray(bodyAt).find((byte) => byte > 0x20) === 0x5b) {
    throw new StepFailure(
      'unknown_format',
      `The file "${file}" is one JSON array; write one object a line instead (NDJSON).`,
    )
  }
  const end = isWhole ? bytes.length : bytes.lastIndexOf(lineFeed) + 1
  const guesses = new Map<string, Guess>()
  for (const { text, row } of linesOf(file, bytes.subarray(bodyAt, end), bodyAt, 1)) {
    for (const [name, value] of Object.entries(objectOf(file, row, text))) {
      let guess = guesses.get(name)
      if (!guess) guesses.set(name, (guess = newGuess()))
      guessValue(guess, value)
    }
  }
  if (guesses.size > maxColumns) {
    throw new StepFailure(
      'bad_header',
      `The file "${file}" has ${guesses.size} different keys, more than the ${maxColumns} columns a table can have.`,
    )
  }
  if (guesses.has(''))
    throw new StepFailure('bad_header', `The file "${file}" has an empty key; give it a name.`)
  return { names: [...guesses.keys()], types: [...guesses.values()].map(typeOf) }
}

function guessValue(guess: Guess, value: unknown): void {
  if (value === null) return
  if (typeof value === 'string') {
    const before = guess.seen.size
    guessText(guess, value)
    // A number in quotes was meant as text; only times are written as strings for want of a type.
    const isTime =
      guess.seen.size > before
        ? ['date', 'timestamp', 'timestamptz'].includes([...guess.seen].at(-1) ?? '')
        : guess.seen.size > 0
    if (!isTime) guess.seen.add('text')
  } else if (typeof value === 'boolean') guess.seen.add('boolean')
  else if (typeof value === 'number') guess.seen.add(Number.isSafeInteger(value) ? 'bigint' : 'double')
  else if (isRaw(value)) guessRaw(guess, value.rawJSON)
  else guess.hasJson = true
}

function guessRaw(guess: Guess, text: string): void {
  if (/^-?\d+$/.test(text)) guess.seen.add(fitsLong(BigInt(text)) ? 'bigint' : 'decimal')
  else guessText(guess, text)
}

/** Cuts lines out of a window, each an object, as the wanted columns. */
export function ndjsonRows(
  file: string,
  schema: ColumnSpec[],
  wanted: ColumnSpec[],
  declared: ReadonlySet<string>,
): RowCutter {
  const known = new Set(schema.map((spec) => spec.name))
  return {
    cut({ bytes, from, to, isEnd, offset }, firstRow) {
      let end = from
      let lines = 0
      while (lines < batchRows) {
        const found = bytes.indexOf(lineFeed, end)
        if (found < 0 || found >= to) {
          if (isEnd && end < to) end = to
          break
        }
        end = found + 1
        lines++
      }
      if (end === from) return { kind: 'incomplete', inQuote: false }
      const columns = wanted.map((spec) => jsonColumn(spec, lines + 1))
      let rows = 0
      for (const { text, row } of linesOf(file, bytes.subarray(from, end), offset, firstRow)) {
        const object = objectOf(file, row, text)
        refuseNewKeys(file, row, object, known)
        for (const [i, { name }] of wanted.entries()) {
          try {
            columns[i]?.set(rows, Object.hasOwn(object, name) ? object[name] : null)
          } catch (error) {
            if (!(error instanceof BadCell)) throw error
            throw badCell(file, row, error, declared.has(name) ? 'declared' : 'infer')
          }
        }
        rows++
      }
      return { kind: 'rows', rows, next: end, columns: columns.map((column) => column.finish(rows)) }
    },
  }
}

/** The lines that are not blank, as text; rows are counted from `firstRow`. */
function* linesOf(
  file: string,
  block: Uint8Array,
  offset: number,
  firstRow: number,
): Generator<{ text: string; row: number }> {
  const decoded = decodeBlock(block)
  if (!('text' in decoded)) {
    const before = new TextDecoder().decode(block.subarray(0, decoded.badAt)).split('\n')
    const row = firstRow + before.slice(0, -1).filter((line) => line.trim() !== '').length
    throw badBytes(file, row, decoded.what, offset + decoded.badAt)
  }
  const { text } = decoded
  let row = firstRow
  for (let at = 0; at < text.length;) {
    const found = text.indexOf('\n', at)
    const end = found < 0 ? text.length : found
    const line = text.substring(at, end)
    at = end + 1
    if (line.trim() === '') continue
    yield { text: line, row }
    row++
  }
}

function objectOf(file: string, row: number, line: string): Record<string, unknown> {
  let value: unknown
  try {
    value = parseJson(line)
  } catch (cause) {
    throw new StepFailure(
      'bad_json',
      `The file "${file}", row ${row}: ${excerpt(line)} is not JSON; each line must be one object.`,
      { cause },
    )
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new StepFailure(
      'bad_json',
      `The file "${file}", row ${row}: ${excerpt(line)} is not an object; each line must be one.`,
    )
  }
  return value as Record<string, unknown>
}

/** A key that the beginning of the file did not have would be lost without a word. */
function refuseNewKeys(
  file: string,
  row: number,
  object: Record<string, unknown>,
  known: ReadonlySet<string>,
): void {
  for (const name in object) {
    if (known.has(name)) continue
    throw new StepFailure(
      'schema_mismatch',
      `The file "${file}", row ${row}: it has the key ${excerpt(name)}, which the first megabyte of the file does not have; declare the column and its type.`,
    )
  }
}
