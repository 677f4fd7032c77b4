import type * as z from 'zod'
import { nearest } from './spelling.ts'

const kinds: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a mapping of keys to values',
  record: 'a mapping of keys to values',
}
const kindOf = (expected: string): string => kinds[expected] ?? expected

/** What was expected at a place of a definition and what is there, for the author. */
export function wordsOf(issue: z.core.$ZodIssue, whole: unknown): string {
  const found = valueAt(whole, issue.path)
  const missing = found === undefined
  switch (issue.code) {
    case 'invalid_type':
      return missing
        ? `is missing: it must be ${kindOf(issue.expected)}`
        : `must be ${kindOf(issue.expected)}, found ${show(found)}`
    case 'invalid_value':
      return oneOf(issue.values.map(String), found)
    case 'invalid_union': {
      if ('options' in issue && Array.isArray(issue.options)) return oneOf(issue.options.map(String), found)
      const expected = issue.errors.flatMap(([first]) =>
        first && 'expected' in first ? [kindOf(String(first.expected))] : [],
      )
      return expected.length === 0
        ? `${issue.message}, found ${show(found)}`
        : `must be ${[...new Set(expected)].join(' or ')}, found ${show(found)}`
    }
    case 'invalid_key':
      return `the key ${show(issue.path.at(-1))} ${issue.issues[0] ? wordsOf({ ...issue.issues[0], path: [] }, String(issue.path.at(-1))) : 'cannot stand here'}`
    case 'too_small':
      return `must ${sizeWords(issue.origin, 'at least', issue.minimum)}, found ${sizeOf(found)}`
    case 'too_big':
      return `must ${sizeWords(issue.origin, 'at most', issue.maximum)}, found ${sizeOf(found)}`
    case 'invalid_format':
    case 'not_multiple_of':
    case 'invalid_element':
    case 'unrecognized_keys':
    case 'custom':
      return typeof found === 'object' || missing ? issue.message : `${issue.message}, found ${show(found)}`
  }
}

function oneOf(options: readonly string[], found: unknown): string {
  const list = options.length === 1 ? (options[0] ?? '') : `one of ${options.join(', ')}`
  if (found === undefined) return `is missing: it must be ${list}`
  const hint = typeof found === 'string' ? nearest(found, options) : undefined
  return `must be ${list}, found ${show(found)}${hint ? `: did you mean ${hint}?` : ''}`
}

function sizeWords(origin: string, bound: string, size: number | bigint): string {
  if (origin === 'array') return `have ${bound} ${size} item${Number(size) === 1 ? '' : 's'}`
  if (origin === 'string') return `have ${bound} ${size} character${Number(size) === 1 ? '' : 's'}`
  return `be ${bound} ${size}`
}

const sizeOf = (found: unknown): string =>
  Array.isArray(found) || typeof found === 'string' ? String(found.length) : show(found)

function show(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  const text = typeof value === 'string' ? JSON.stringify(value) : `${value as number | boolean}`
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

function valueAt(whole: unknown, path: readonly PropertyKey[]): unknown {
  let at = whole
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<PropertyKey, unknown>)[key]
  }
  return at
}
