import { parameterSqlType } from '#src/domain/parameters.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import { Refused } from './guard.ts'

/** The text with `($n::type)` for each parameter, and at which byte of it each `$n` stands. */
export type Numbered = {
  text: string
  places: { name: string; offset: number; from: number; to: number; grew: number }[]
}

export const byteLength = (text: string): number => new TextEncoder().encode(text).length

/** Puts a numbered value where a parameter is named; nothing of a value ever becomes text of the query. */
export function numberParameters(sql: string, parameters: Definition['parameters']): Numbered {
  const places: Numbered['places'] = []
  let text = ''
  let copied = 0
  let bytes = 0
  for (const match of sql.matchAll(/\$\{([^}]*)\}/g)) {
    const [whole, inside = ''] = match
    const before = sql.slice(copied, match.index)
    bytes += byteLength(before)
    const name = /^params\.([a-z][a-z0-9_]*)$/.exec(inside.trim())?.[1]
    const parameter = name !== undefined && Object.hasOwn(parameters, name) ? parameters[name] : undefined
    if (name === undefined || !parameter)
      throw new Refused(
        `there is no parameter "${inside.slice(0, 100)}"`,
        byteLength(sql.slice(0, match.index)),
      )
    const value = `($${places.length + 1}::${parameterSqlType[parameter.type]})`
    places.push({
      name,
      offset: bytes + 1,
      from: bytes,
      to: bytes + value.length,
      grew: value.length - byteLength(whole),
    })
    text += before + value
    bytes += value.length
    copied = match.index + whole.length
  }
  return { text: text + sql.slice(copied), places }
}

/** Line and column, from 1, of a byte of the numbered text in the text as it was written. */
export function placeIn(sql: string, { places }: Numbered, offset: number): { line: number; column: number } {
  let at = offset
  for (const { from, to, grew } of places) {
    if (offset >= to) at -= grew
    else if (offset > from) at -= offset - from
  }
  const lines = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
    .decode(new TextEncoder().encode(sql).subarray(0, at))
    .split('\n')
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}
