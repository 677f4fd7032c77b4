import {
  isAlias,
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
} from 'yaml'
import { jsonFault } from './json-fault.ts'
import type { FieldProblem } from './problem.ts'

const mostCharacters = 1024 * 1024
const deepest = 32
/** Whoever has this many problems to mend has enough for now. */
export const mostProblems = 100

type Place = { line?: number; column?: number }

/** Where a path of the definition stands in its text; lines and columns count from 1. */
export type SourceMap = { at(path: readonly PropertyKey[]): Place }

type Read = { ok: true; value: unknown; source: SourceMap } | { ok: false; fields: FieldProblem[] }

/** Reads YAML or JSON into a value and remembers where everything stood. JSON is read by the same reader, strictly. */
export function readSource(text: string, format: 'yaml' | 'json'): Read {
  if (text.length > mostCharacters)
    return refused(`a definition has 1 MB at most, this one has ${text.length} characters`)
  const fault = format === 'json' ? jsonFault(text) : undefined
  if (fault) return notJson(text, fault.offset, fault.expected)
  const lines = new LineCounter()
  let document: Document
  try {
    // The reader compares each key with each other one of its mapping; ours are compared below.
    document = parseDocument(text, {
      lineCounter: lines,
      uniqueKeys: false,
      version: '1.2',
      schema: 'core',
      prettyErrors: false,
      merge: false,
    })
  } catch {
    return refused('this cannot be read as YAML')
  }
  const fields = document.errors.slice(0, mostProblems).map(({ message, pos }) => ({
    path: '',
    message: /call stack/.test(message)
      ? `it is nested deeper than ${deepest} levels`
      : `this is not YAML: ${message}`,
    ...placeAt(lines, pos[0]),
  }))
  if (fields.length > 0) return { ok: false, fields }
  const misshapen = misshapenIn(document.contents, lines)
  if (misshapen) return { ok: false, fields: [misshapen] }
  let value: unknown
  try {
    // Aliases that grow without bound are refused by the reader itself.
    value = document.toJS({ maxAliasCount: 50 })
  } catch (error) {
    return refused(error instanceof Error ? error.message : 'it cannot be read')
  }
  return { ok: true, value, source: { at: (path) => placeOf(document, lines, path) } }
}

const refused = (message: string): Read => ({
  ok: false,
  fields: [{ path: '', message, line: 1, column: 1 }],
})

function notJson(text: string, offset: number, expected: string): Read {
  const before = text.slice(0, offset).split('\n')
  const found = offset === text.length ? 'its end' : JSON.stringify(text.slice(offset, offset + 20))
  const place = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
  return {
    ok: false,
    fields: [{ path: '', message: `this is not JSON: expected ${expected}, found ${found}`, ...place }],
  }
}

function placeAt(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(line, 1), column: Math.max(col, 1) }
}

/** The place of the node at the path, or of the nearest one above it that is there; of a key rather than its value. */
function placeOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): Place {
  let node: unknown = document.contents
  let offset = startOf(node)
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (!isCollection(node)) break
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      if (!pair) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else {
      node = node.items[Number(key)]
      offset = startOf(node) ?? offset
    }
  }
  return offset === undefined ? { line: 1, column: 1 } : placeAt(lines, offset)
}

const startOf = (node: unknown): number | undefined => (node as Node | null)?.range?.[0]

/** A key that is there twice, a key that is no text, or nesting that goes too deep. */
function misshapenIn(root: unknown, lines: LineCounter): FieldProblem | undefined {
  const open: { node: unknown; path: string; depth: number }[] = [{ node: root, path: '', depth: 1 }]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { node, path, depth } = at
    if (!isCollection(node)) continue
    const problem = (message: string, where: unknown, inside = path) => ({
      path: inside,
      message,
      ...placeAt(lines, startOf(where) ?? startOf(node) ?? 0),
    })
    if (depth > deepest) return problem(`it is nested deeper than ${deepest} levels`, node)
    if (!isMap(node)) {
      for (const [i, item] of node.items.entries())
        open.push({ node: item, path: `${path}[${i}]`, depth: depth + 1 })
      continue
    }
    const seen = new Map<string, unknown>()
    for (const { key, value } of node.items) {
      if (!isScalar(key)) return problem('a key must be plain text', key)
      const name = String(key.value)
      const inside = path === '' ? name : `${path}.${name}`
      const earlier = seen.get(name)
      if (earlier !== undefined) {
        const { line } = placeAt(lines, startOf(earlier) ?? 0)
        return problem(
          `the key "${name}" is there twice; keys are unique, and line ${line} has it already`,
          key,
          inside,
        )
      }
      seen.set(name, key)
      open.push({ node: value, path: inside, depth: depth + 1 })
    }
  }
  return undefined
}
