import type { Definition } from './pipeline.ts'
import type { FieldProblem } from './problem.ts'
import type { ParameterType } from './pipeline-schema.ts'
import { nearest } from './spelling.ts'

export type Parameters = Record<string, string | number | boolean>

/** The SQL type that a parameter of each type is handed over as. */
export const parameterSqlType: Record<ParameterType, string> = {
  text: 'text',
  integer: 'bigint',
  number: 'double precision',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamptz',
}

/** Checks what a run was given against the definition, and fills in the defaults. */
export function resolveParameters(
  definition: Pick<Definition, 'parameters'>,
  given: Readonly<Record<string, unknown>>,
): { ok: true; parameters: Parameters } | { ok: false; fields: FieldProblem[] } {
  const fields: FieldProblem[] = []
  const parameters: Parameters = {}
  const known = Object.keys(definition.parameters)
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    const hint = nearest(name, known)
    fields.push({
      path: `parameters.${name}`,
      message: `there is no such parameter${hint ? `: did you mean "${hint}"?` : ''}`,
    })
  }
  for (const [name, { type, default: fallback }] of Object.entries(definition.parameters)) {
    const value = Object.hasOwn(given, name) ? given[name] : fallback
    if (value === undefined)
      fields.push({ path: `parameters.${name}`, message: 'must be given: it has no default' })
    else if (!isOf(type, value))
      fields.push({ path: `parameters.${name}`, message: `must be ${parameterWords[type]}` })
    else parameters[name] = value
  }
  return fields.length > 0 ? { ok: false, fields } : { ok: true, parameters }
}

export const parameterWords: Record<ParameterType, string> = {
  text: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  date: 'a date such as 2001-12-31',
  timestamp: 'a time such as 2001-12-31T23:59:59Z',
}

export function isOf(type: ParameterType, value: unknown): value is string | number | boolean {
  switch (type) {
    case 'text':
      return typeof value === 'string'
    case 'integer':
      return Number.isSafeInteger(value)
    case 'number':
      return Number.isFinite(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'date':
      return typeof value === 'string' && isDate(value)
    case 'timestamp':
      return (
        typeof value === 'string' &&
        /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?$/.test(value) &&
        isDate(value.slice(0, 10)) &&
        !Number.isNaN(Date.parse(value))
      )
  }
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}
