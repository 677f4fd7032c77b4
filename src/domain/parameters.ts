import type { Definition } from './pipeline.ts'
import type { FieldProblem } from './problem.ts'
import { nearest } from './spelling.ts'

export const parameterTypes = ['text', 'integer', 'number', 'boolean', 'date', 'timestamp'] as const
export type ParameterType = (typeof parameterTypes)[number]

export type Parameter = {
  type: ParameterType
  default?: string | number | boolean
  enum?: (string | number | boolean)[]
  min?: string | number
  max?: string | number
  description?: string
}

/** The values that a run was given. */
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
  for (const [name, parameter] of Object.entries(definition.parameters)) {
    const value = Object.hasOwn(given, name) ? given[name] : parameter.default
    const problem = value === undefined ? 'must be given: it has no default' : valueProblem(parameter, value)
    if (problem !== undefined) fields.push({ path: `parameters.${name}`, message: problem })
    else parameters[name] = value as Parameters[string]
  }
  return fields.length > 0 ? { ok: false, fields } : { ok: true, parameters }
}

/** Why a value is none of this parameter's, in words; undefined when it is one. */
function valueProblem({ type, enum: values, min, max }: Parameter, value: unknown): string | undefined {
  if (!isOf(type, value)) return `must be ${parameterWords[type]}`
  if (values && !values.includes(value)) {
    const hint = typeof value === 'string' ? nearest(value, values.map(String)) : undefined
    return `must be one of ${values.join(', ')}${hint ? `: did you mean ${hint}?` : ''}`
  }
  if (min !== undefined && rank(type, value) < rank(type, min)) return `must be ${min} at least`
  if (max !== undefined && rank(type, value) > rank(type, max)) return `must be ${max} at most`
  return undefined
}

/** What is wrong in what a parameter says of itself. */
export function parameterFaults(parameter: Parameter): { key: (string | number)[]; message: string }[] {
  const { type, default: fallback, enum: values = [], min, max } = parameter
  const words = `must be ${parameterWords[type]}, as the parameter's type says`
  const faults = values.flatMap((value, i) =>
    isOf(type, value) ? [] : [{ key: ['enum', i], message: words }],
  )
  for (const [key, bound] of Object.entries({ min, max })) {
    if (bound === undefined) continue
    if (type === 'text' || type === 'boolean')
      faults.push({ key: [key], message: `goes with integer, number, date and timestamp, not with ${type}` })
    else if (!isOf(type, bound)) faults.push({ key: [key], message: words })
  }
  if (faults.length > 0) return faults
  if (min !== undefined && max !== undefined && rank(type, min) > rank(type, max))
    return [{ key: ['max'], message: `must not be less than min, which is ${min}` }]
  if (fallback === undefined) return []
  if (!isOf(type, fallback)) return [{ key: ['default'], message: words }]
  const problem = valueProblem(parameter, fallback)
  return problem === undefined ? [] : [{ key: ['default'], message: problem }]
}

/** What orders the values of a type. A time without a zone is UTC. */
function rank(type: ParameterType, value: string | number | boolean): number {
  if (typeof value !== 'string') return Number(value)
  const time = value.replace(' ', 'T')
  return Date.parse(type === 'timestamp' && !/(Z|[+-]\d{2}:\d{2})$/.test(time) ? `${time}Z` : time)
}

const parameterWords: Record<ParameterType, string> = {
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
  // PostgreSQL has no year 0.
  if (!/^(?!0000)\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}
