import type { ColumnType } from '#src/domain/column.ts'

/**
 * What a text may be, by how it is written. Stricter than what a declared column accepts: `007` is no number here, for it
 * is more often a code, and `yes` is no boolean.
 */
const patterns: [ColumnType, RegExp][] = [
  ['boolean', /^(?:true|false)$/i],
  ['bigint', /^(?:0|-?[1-9]\d{0,18})$/],
  ['double', /^-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/],
  ['date', /^\d{4}-\d\d-\d\d$/],
  ['timestamp', /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?$/],
  ['timestamptz', /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/],
]
const longMax = 2n ** 63n

export type Guess = { seen: Set<ColumnType>; isLong: boolean; hasJson: boolean }
export const newGuess = (): Guess => ({ seen: new Set(), isLong: false, hasJson: false })

/** Adds what one text looks like; an empty one says nothing. */
export function guessText(guess: Guess, value: string): void {
  const text = value.replaceAll(/^ +| +$/g, '')
  if (text === '') return
  const type = text.length > 40 ? undefined : patterns.find(([, pattern]) => pattern.test(text))?.[0]
  if (type === undefined) {
    guess.seen.add(/^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) ? 'decimal' : 'text')
    return
  }
  if (type === 'bigint' && text.length > 18 && !fitsLong(BigInt(text))) guess.seen.add('decimal')
  else guess.seen.add(type)
  // More digits than a double keeps: only a decimal is exact.
  if (type === 'double' && !/e/i.test(text) && text.replaceAll(/\D/g, '').replace(/^0+/, '').length > 15)
    guess.isLong = true
}

export const fitsLong = (value: bigint): boolean => value >= -longMax && value < longMax

/** The narrowest type for all that was seen; text when they do not agree. */
export function typeOf({ seen, isLong, hasJson }: Guess): ColumnType {
  if (hasJson) return 'json'
  const types = new Set(seen)
  const [only] = types
  if (types.size === 1 && only !== undefined) return only === 'double' && isLong ? 'decimal' : only
  if (types.size === 0 || types.has('text')) return 'text'
  const isAmong = (...wanted: ColumnType[]): boolean => [...types].every((type) => wanted.includes(type))
  if (isAmong('bigint', 'double')) return isLong ? 'decimal' : 'double'
  if (isAmong('bigint', 'double', 'decimal')) return 'decimal'
  if (isAmong('date', 'timestamp')) return 'timestamp'
  return 'text'
}
