import { StepFailure } from './failure.ts'
import type { Json } from './json.ts'

/** What names stand for, by their roots: params, outputs, run, callback, and an item by the name that its map gives it. */
export type Scope = Readonly<Record<string, Json>>

/** `${outputs.step.path}` in a text is ['outputs', 'step', 'path']; `$${` is no name but the text `${`. */
type Part = { text: string } | { name: string[]; written: string } | { bad: string }

const nameShape = /^\s*([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)\s*$/

function partsOf(text: string): Part[] {
  if (!text.includes('${')) return [{ text }]
  const parts: Part[] = []
  let from = 0
  for (let at = text.indexOf('${'); at >= 0; at = text.indexOf('${', from)) {
    if (text[at - 1] === '$' && at > from) {
      parts.push({ text: `${text.slice(from, at - 1)}\${` })
      from = at + 2
      continue
    }
    parts.push({ text: text.slice(from, at) })
    const end = text.indexOf('}', at)
    const written = text.slice(at, end < 0 ? undefined : end + 1)
    const name = end < 0 ? undefined : nameShape.exec(written.slice(2, -1))?.[1]
    parts.push(name === undefined ? { bad: written.slice(0, 80) } : { name: name.split('.'), written })
    from = end < 0 ? text.length : end + 1
  }
  parts.push({ text: text.slice(from) })
  return parts.filter((part) => !('text' in part) || part.text !== '')
}

/** Whether a text has any name in it, so that what it stands for is known only when the step runs. */
export const isTemplate = (text: string): boolean => partsOf(text).some((part) => !('text' in part))

/** What a value names, and where in it; `bad` is what looks like a name and is none. */
export type Named = { at: PropertyKey[] } & ({ name: string[] } | { bad: string })

export function namesIn(value: unknown, at: PropertyKey[] = []): Named[] {
  if (typeof value === 'string') {
    return partsOf(value).flatMap((part): Named[] => {
      if ('text' in part) return []
      return [{ at, ...('name' in part ? { name: part.name } : part) }]
    })
  }
  if (Array.isArray(value)) return value.flatMap((item, i) => namesIn(item, [...at, i]))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => namesIn(item, [...at, key]))
}

/** What stands at a path; undefined where nothing does. The length of a list can be asked for. */
export function valueAt(scope: Scope, path: readonly string[]): Json | undefined {
  let at: Json | Scope = scope
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, Json>)[key] ?? null
  }
  return at as Json
}

/**
 * Puts values where they are named: a text that is nothing but a name becomes the value, whatever its type, and a name
 * inside a text becomes text, null becoming nothing and a list or mapping its JSON. Fails where a path leads nowhere.
 */
export function resolve(value: Json, scope: Scope): Json {
  if (typeof value === 'string') {
    const parts = partsOf(value)
    const [only] = parts
    if (only && parts.length === 1 && 'name' in only) return valueOf(only, scope)
    return textOf(parts, scope)
  }
  if (Array.isArray(value)) return value.map((item) => resolve(item, scope))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, scope)]))
}

/** The same where a text is wanted whatever the type of what is named: an address, a header, a message. */
export const resolveText = (text: string, scope: Scope): string => textOf(partsOf(text), scope)

const textOf = (parts: readonly Part[], scope: Scope): string =>
  parts.map((part) => ('text' in part ? part.text : shown(valueOf(part, scope)))).join('')

function valueOf(part: Exclude<Part, { text: string }>, scope: Scope): Json {
  if ('bad' in part) throw new StepFailure('bad_template', `"${part.bad}" is no name.`)
  const { name, written } = part
  const value = valueAt(scope, name)
  if (value !== undefined) return value
  const there = name.findLastIndex((_, i) => valueAt(scope, name.slice(0, i)) !== undefined)
  throw new StepFailure(
    'missing_value',
    `There is no ${written}: ${there > 0 ? `${name.slice(0, there).join('.')} has no "${name[there]}"` : `nothing is named "${name[0]}"`}.`,
  )
}

const shown = (value: Json): string =>
  value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
