import { parameterSqlType, type Parameters } from '#src/domain/parameters.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { FieldProblem } from '#src/domain/problem.ts'
import { guard, Refused } from './guard.ts'
import { openGrammar } from './parser.ts'

export type CheckedSelect =
  | {
      ok: true
      /** The datasets that it reads. */
      tables: string[]
      /** The parameters that it names, in the order of $1, $2, … */
      parameters: string[]
      /** The one SELECT, with `$n` where a parameter stood and no semicolon after it. */
      text: string
    }
  | { ok: false; fields: FieldProblem[] }

export type SqlParser = {
  /** Parses a tenant's SQL with PostgreSQL's grammar: one SELECT, of nothing but what is on the lists. */
  checkSelect(sql: string, parameters: Definition['parameters']): Promise<CheckedSelect>
}

const placeholder = /\$\{([^}]*)\}/g

export function loadParser(module: WebAssembly.Module): SqlParser {
  const parse = openGrammar(module)
  return {
    async checkSelect(sql, parameters) {
      const used: string[] = []
      try {
        const text = numbered(sql, parameters, used)
        const parsed = await parse(text)
        if (!parsed.ok) throw new Refused(parsed.message, bytesBefore(text, parsed.offset))
        const { tables, parameters: found, start, end } = guard(parsed.tree)
        if (found !== used.length) {
          throw new Refused('write parameters as ${params.name}, outside of quotes and comments, and never as $1')
        }
        const bytes = new TextEncoder().encode(text)
        return { ok: true, tables, parameters: used, text: new TextDecoder().decode(bytes.subarray(start, end)) }
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        return { ok: false, fields: [{ path: 'sql', message: error.message, ...placeOf(sql, error.offset) }] }
      }
    },
  }
}

/** The values of a checked select's parameters, as the text that the driver sends. */
export const valuesOf = (checked: { parameters: readonly string[] }, given: Parameters): string[] =>
  checked.parameters.map((name) => String(given[name]))

function numbered(sql: string, parameters: Definition['parameters'], used: string[]): string {
  return sql.replaceAll(placeholder, (_, inside: string, offset: number) => {
    const name = /^params\.([a-z][a-z0-9_]*)$/.exec(inside.trim())?.[1]
    const parameter = name !== undefined && Object.hasOwn(parameters, name) ? parameters[name] : undefined
    if (name === undefined || !parameter) throw new Refused(`there is no parameter "${inside}"`, offset)
    used.push(name)
    return `($${used.length}::${parameterSqlType[parameter.type]})`
  })
}

const bytesBefore = (text: string, characters: number): number => new TextEncoder().encode(text.slice(0, characters)).length

/** Line and column of a byte of the text, near enough where a placeholder before it changed its length. */
function placeOf(sql: string, offset: number): { line: number; column: number } {
  const before = new TextDecoder().decode(new TextEncoder().encode(sql).subarray(0, offset))
  const lines = before.split('\n')
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}
