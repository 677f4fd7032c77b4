import { isCollection, isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import type { FieldProblem } from './problem.ts'

const mostBytes = 1024 * 1024
const deepest = 32

/** Where a path of the definition stands in its text; lines and columns count from 1. */
export type SourceMap = { at(path: readonly PropertyKey[]): { line?: number; column?: number } }

type Read = { ok: true; value: unknown; source: SourceMap } | { ok: false; fields: FieldProblem[] }

/** Reads YAML or JSON into a value and remembers where everything stood. JSON is read by the same reader, strictly. */
export function readSource(text: string, format: 'yaml' | 'json'): Read {
  if (text.length > mostBytes) return refused(`a definition has 1 MB at most, this one has ${text.length} characters`)
  if (format === 'json') {
    try {
      JSON.parse(text)
    } catch (error) {
      return refused(`this is not JSON: ${error instanceof Error ? error.message : 'it cannot be read'}`)
    }
  }
  const lines = new LineCounter()
  let document: Document
  try {
    document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2', schema: 'core', prettyErrors: false, merge: false })
  } catch {
    return refused('this cannot be read as YAML')
  }
  const fields = document.errors.map(({ message, pos }) => ({ path: '', message: `this is not YAML: ${message}`, ...place(lines, pos[0]) }))
  if (fields.length > 0) return { ok: false, fields }
  const tooDeep = depthBelow(document.contents, deepest)
  if (tooDeep) return refused(`it is nested deeper than ${deepest} levels`)
  let value: unknown
  try {
    // Aliases that grow without bound are refused by the reader itself.
    value = document.toJS({ maxAliasCount: 50 })
  } catch (error) {
    return refused(error instanceof Error ? error.message : 'it cannot be read')
  }
  return { ok: true, value, source: { at: (path) => placeOf(document, lines, path) } }
}

const refused = (message: string): Read => ({ ok: false, fields: [{ path: '', message }] })

function place(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(line, 1), column: Math.max(col, 1) }
}

/** The place of the node at the path, or of the nearest one above it that is there; of a key rather than its value. */
function placeOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): { line?: number; column?: number } {
  let node: unknown = document.contents
  let offset = startOf(node)
  for (const key of path) {
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
  return offset === undefined ? {} : place(lines, offset)
}

const startOf = (node: unknown): number | undefined => (node as Node | null)?.range?.[0]

function depthBelow(node: unknown, left: number): boolean {
  if (left === 0) return true
  if (!isCollection(node)) return false
  return node.items.some((item) =>
    typeof item === 'object' && item !== null && 'value' in item && 'key' in item
      ? depthBelow(item.value, left - 1)
      : depthBelow(item, left - 1),
  )
}
