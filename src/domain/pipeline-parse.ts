import type * as z from 'zod'
import { wordsOf } from './pipeline-words.ts'
import type { Path } from './step-path.ts'
import { nearest } from './spelling.ts'

/** One mapping's share of the problems that are told. */
const mostKeys = 100

export type Complain = (path: Path, message: string) => void

/** Parses one part of a definition; what is wrong is told by its path in the whole. */
export function parseWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  path: Path,
  complain: Complain,
): z.output<S> | undefined {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(schema, issue.path)
      for (const key of issue.keys.slice(0, mostKeys)) {
        const hint = nearest(key, known)
        complain(
          [...path, ...issue.path, key],
          `there is no "${key}" here${hint ? `: did you mean "${hint}"?` : known.length > 0 ? `; there is ${known.join(', ')}` : ''}`,
        )
      }
    } else {
      complain([...path, ...issue.path], wordsOf(issue, value))
    }
  }
  return undefined
}

/** The one of some keys that a mapping has; complains where it has none or several. */
export function oneKey<K extends string>(
  value: unknown,
  keys: readonly K[],
  what: string,
  path: Path,
  complain: Complain,
): { key: K; value: object } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const there = keys.filter((key) => Object.hasOwn(value, key))
  const [key] = there
  if (key !== undefined && there.length === 1) return { key, value }
  const found = there.length > 1 ? there.join(' and ') : Object.keys(value).join(', ') || 'nothing'
  complain(path, `${what} has exactly one of ${keys.join(', ')}; found ${found}`)
  return undefined
}

/** The keys that an object schema knows at a path, as far as it can be followed. */
function keysAt(schema: unknown, path: Path): string[] {
  let at: unknown = schema
  for (const key of path) at = typeof key === 'string' ? shapeOf(at)?.[key] : elementOf(at)
  return Object.keys(shapeOf(at) ?? {})
}

type Inner = { shape?: Record<string, unknown>; element?: unknown; innerType?: unknown; in?: unknown }
const innerOf = (schema: unknown): Inner | undefined => {
  const { _zod } = (schema ?? {}) as { _zod?: { def: Inner } }
  const def = _zod?.def
  return def?.innerType ? innerOf(def.innerType) : def
}
const shapeOf = (schema: unknown): Record<string, unknown> | undefined => innerOf(schema)?.shape
const elementOf = (schema: unknown): unknown => innerOf(schema)?.element
