import { isNode, namesOf, type Node } from './node.ts'

/*
 * PostgreSQL reads `x.f` as the call `f(x)` when x has no field f: `('app.claim'::text).current_setting` calls a function,
 * and so does `a.current_setting` when `a` is a function in FROM that gives one value. So a field's name is checked
 * wherever what stands in front of it may be a single value.
 */

/** For each name of a function in FROM, the columns that may be asked of it by each of its uses. */
export type FunctionAliases = ReadonlyMap<string, readonly ReadonlySet<string>[]>

/** Names of fields that built-in functions and rows give; none of them is a function's name. */
const givenField = /^(key|value|ordinality|f\d{1,3}|\*)$/

export function fieldRefusal(names: readonly string[]): string | undefined {
  const name = names.find((one) => !givenField.test(one))
  return name === undefined
    ? undefined
    : `the field "${name}" cannot be taken out of a value here: select it as a column of its own`
}

export function columnRefusal(names: readonly string[], aliases: FunctionAliases): string | undefined {
  if (names.length > 2) return 'a column may have its table in front and nothing else'
  const [table, column] = names
  if (table === undefined || column === undefined) return undefined
  if (/^pg_/i.test(column)) return `"${column}" is no column of a dataset`
  const uses = aliases.get(table) ?? []
  if (givenField.test(column) || uses.every((columns) => columns.has(column))) return undefined
  return `"${table}" is a function, and its columns have no names yet: write … as ${table}(${column})`
}

/** Every function that stands in FROM, anywhere in the tree. */
export function functionAliasesIn(tree: unknown): FunctionAliases {
  const aliases = new Map<string, Set<string>[]>()
  const open: unknown[] = [tree]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (Array.isArray(at)) for (const item of at) open.push(item)
    else if (isNode(at)) {
      if (isNode(at['RangeFunction'])) note(at['RangeFunction'], aliases)
      for (const inner of Object.values(at)) if (inner !== null && typeof inner === 'object') open.push(inner)
    }
  }
  return aliases
}

function note(range: Node, aliases: Map<string, Set<string>[]>): void {
  const alias = isNode(range['alias']) ? range['alias'] : undefined
  const given = alias ? [String(alias['aliasname'])] : calledIn(range)
  const columns = new Set([...given, ...(alias ? namesOf(alias['colnames']) : [])])
  for (const name of given) aliases.set(name, [...(aliases.get(name) ?? []), columns])
}

/** Without an alias a function in FROM goes by the name of what is called. */
const calledIn = (range: Node): string[] =>
  itemsOf(range).flatMap((item) =>
    isNode(item['FuncCall']) ? [namesOf(item['FuncCall']['funcname']).at(-1) ?? ''] : [],
  )

/** Whether it is known by which name the columns of this part of FROM are asked for. */
export const isNamed = (range: Node): boolean =>
  isNode(range['alias']) ||
  itemsOf(range).every((item) => Object.keys(item).length === 0 || isNode(item['FuncCall']))

const itemsOf = (range: Node): Node[] =>
  (Array.isArray(range['functions']) ? range['functions'] : []).flatMap((entry: Node) => {
    const list = entry['List']
    return isNode(list) && Array.isArray(list['items']) ? (list['items'] as Node[]) : []
  })
