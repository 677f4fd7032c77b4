import type { Parameters } from '#src/domain/parameters.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { FieldProblem } from '#src/domain/problem.ts'
import { guard, Refused } from './guard.ts'
import { openGrammar, type Parse } from './parser.ts'
import { byteLength, numberParameters, placeIn, type Numbered } from './placeholders.ts'

type CheckedSelect =
  | {
      ok: true
      /** The datasets that it reads. */
      tables: string[]
      /** The parameters that it names, in the order of $1, $2, … */
      parameters: string[]
      /**
       * The one SELECT, with `$n` where a parameter stood and no semicolon after it. It may end in a comment, so put a
       * line's end behind it.
       */
      text: string
    }
  | { ok: false; fields: FieldProblem[] }

export type SqlParser = {
  /** Parses a tenant's SQL with PostgreSQL's grammar: one SELECT, of nothing but what is on the lists. */
  checkSelect(sql: string, parameters: Definition['parameters']): Promise<CheckedSelect>
}

export function loadParser(module: WebAssembly.Module): SqlParser {
  const parse = openGrammar(module)
  return {
    async checkSelect(sql, parameters) {
      let numbered: Numbered = { text: sql, places: [] }
      try {
        // A NUL would end the text for the parser and not for us.
        if (sql.includes('\0') || !sql.isWellFormed())
          throw new Refused('the text holds a character that SQL cannot have')
        numbered = numberParameters(sql, parameters)
        return {
          ok: true,
          parameters: numbered.places.map(({ name }) => name),
          ...(await select(parse, numbered)),
        }
      } catch (error) {
        if (error instanceof Refused) {
          return {
            ok: false,
            fields: [{ path: 'sql', message: error.message, ...placeIn(sql, numbered, error.offset) }],
          }
        }
        // The grammar nests deeper than the walk over its tree can follow.
        if (error instanceof RangeError)
          return { ok: false, fields: [{ path: 'sql', message: 'this is nested too deeply' }] }
        throw error
      }
    },
  }
}

/** The values of a checked select's parameters, as the text that the driver sends. */
export const valuesOf = (checked: { parameters: readonly string[] }, given: Parameters): string[] =>
  checked.parameters.map((name) => String(given[name]))

async function select(parse: Parse, { text, places }: Numbered): Promise<{ tables: string[]; text: string }> {
  const parsed = await parse(text)
  if (!parsed.ok) throw new Refused(parsed.message, byteLength(text.slice(0, parsed.offset)))
  const { tables, parameters, start, end } = guard(parsed.tree)
  const written = new Map(places.map((place, i) => [place.offset, i + 1]))
  for (const { number, offset } of parameters) {
    if (written.get(offset) !== number)
      throw new Refused('write parameters as ${params.name}, never as $1', offset)
    written.delete(offset)
  }
  const [lost] = written.keys()
  if (lost !== undefined)
    throw new Refused('a parameter cannot stand in quotes or in a comment: there it is no value', lost)
  return {
    tables,
    text: new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(
      new TextEncoder().encode(text).subarray(start, end),
    ),
  }
}
