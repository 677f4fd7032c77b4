import {
  allowedFunctions,
  allowedNodes,
  allowedTypes,
  allowedValueFunctions,
  plainFields,
  refusedFields,
} from './allowed.ts'
import {
  columnRefusal,
  fieldRefusal,
  functionAliasesIn,
  isNamed,
  type FunctionAliases,
} from './attributes.ts'
import { isNode, namesOf, type Node } from './node.ts'
import type { Tree } from './parser.ts'

/** What is wrong, and at which byte of the text when that is known. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly offset: number
  constructor(message: string, offset = 0) {
    super(message)
    this.offset = offset
  }
}

/** A `$n` of the text: which, and at which byte it stands. */
export type PlacedParameter = { number: number; offset: number }
type Found = { tables: Set<string>; parameters: PlacedParameter[]; functionAliases: FunctionAliases }

/**
 * Walks the parse tree and refuses whatever is not on the lists. Gives the datasets that are read, by their bare names:
 * a name that WITH defines is that query wherever SQL says so, and a dataset everywhere else.
 */
export function guard(tree: Tree): {
  tables: string[]
  parameters: PlacedParameter[]
  start: number
  end: number | undefined
} {
  const statements = tree.stmts ?? []
  const [statement] = statements
  if (!statement || statements.length > 1) {
    throw new Refused(
      `this must be one SELECT, found ${statements.length} statements`,
      statements[1]?.stmt_location ?? 0,
    )
  }
  const [kind] = Object.keys(statement.stmt)
  if (kind !== 'SelectStmt') throw new Refused(`this must be a SELECT, found ${wordsOf(kind ?? 'nothing')}`)
  const found: Found = {
    tables: new Set(),
    parameters: [],
    functionAliases: functionAliasesIn(statement.stmt),
  }
  visit(statement.stmt, new Set(), found)
  const start = statement.stmt_location ?? 0
  return {
    tables: [...found.tables],
    parameters: found.parameters,
    start,
    end: statement.stmt_len ? start + statement.stmt_len : undefined,
  }
}

const wordsOf = (kind: string): string =>
  kind
    .replace(/Stmt$/, '')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase()
const locationOf = (node: Node): number => (typeof node['location'] === 'number' ? node['location'] : 0)

function visit(value: unknown, scope: ReadonlySet<string>, found: Found): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, scope, found)
    return
  }
  if (!isNode(value)) return
  for (const [key, inner] of Object.entries(value)) {
    if (/^[A-Z]/.test(key) && isNode(inner)) visitKind(key, inner, scope, found)
    else visitField(key, inner, scope, found)
  }
}

function visitKind(kind: string, node: Node, scope: ReadonlySet<string>, found: Found): void {
  if (!allowedNodes.has(kind))
    throw new Refused(`${wordsOf(kind)} is not allowed in a SELECT here`, locationOf(node))
  switch (kind) {
    case 'SelectStmt':
      return visitSelect(node, scope, found)
    case 'RangeVar':
      return visitTable(node, scope, found)
    case 'FuncCall':
      checkFunction(node)
      break
    case 'A_Expr':
      checkQualified(namesOf(node['name']), 'operator', locationOf(node))
      break
    case 'CollateClause':
      checkQualified(namesOf(node['collname']), 'collation', locationOf(node))
      break
    case 'SQLValueFunction':
      if (!allowedValueFunctions.test(String(node['op']))) {
        throw new Refused(`${String(node['op']).replace('SVFOP_', '')} is not allowed here`, locationOf(node))
      }
      break
    case 'ParamRef':
      found.parameters.push({ number: Number(node['number']), offset: locationOf(node) })
      break
    case 'ColumnRef': {
      const refusal = columnRefusal(namesOf(node['fields']), found.functionAliases)
      if (refusal) throw new Refused(refusal, locationOf(node))
      break
    }
    case 'A_Indirection': {
      const refusal = fieldRefusal(namesOf(node['indirection']))
      if (refusal) throw new Refused(refusal, locationOf(node))
      break
    }
    case 'RangeFunction':
      if (!isNamed(node)) throw new Refused('what stands in FROM here needs a name: write … as x(y)')
      break
    case 'SubLink':
      checkQualified(namesOf(node['operName']), 'operator', locationOf(node))
      break
    case 'SortBy':
      checkQualified(namesOf(node['useOp']), 'operator', locationOf(node))
      break
  }
  visit(node, scope, found)
}

function visitField(key: string, inner: unknown, scope: ReadonlySet<string>, found: Found): void {
  const refusal = refusedFields[key]
  if (refusal && (!Array.isArray(inner) || inner.length > 0))
    throw new Refused(`${refusal}, which is not allowed here`)
  if (!isNode(inner)) return visit(inner, scope, found)
  // A few fields hold their node without its name in front; what those are is a list too.
  if (key === 'larg' || key === 'rarg') return visitSelect(inner, scope, found)
  if (key === 'typeName') return checkType(inner, scope, found)
  if (Object.keys(inner).some((name) => !/^[A-Z]/.test(name)) && !plainFields.has(key))
    throw new Refused(`${key} is not allowed here`)
  visit(inner, scope, found)
}

/** A select's own WITH is seen by it and what is inside it. Without RECURSIVE a query sees only those before it. */
function visitSelect(select: Node, outer: ReadonlySet<string>, found: Found): void {
  const scope = new Set(outer)
  const { withClause, ...rest } = select
  if (isNode(withClause)) {
    const queries = ((withClause['ctes'] as Node[] | undefined) ?? []).map(
      (item) => item['CommonTableExpr'] as Node,
    )
    if (withClause['recursive'] === true) for (const query of queries) scope.add(String(query['ctename']))
    for (const query of queries) {
      const [kind] = Object.keys((query['ctequery'] as Node | undefined) ?? {})
      if (kind !== 'SelectStmt')
        throw new Refused(`WITH may hold SELECT only, found ${wordsOf(kind ?? 'nothing')}`, locationOf(query))
      visit(query['ctequery'], scope, found)
      for (const clause of ['search_clause', 'cycle_clause']) {
        if (query[clause] !== undefined)
          throw new Refused('SEARCH and CYCLE are not allowed here', locationOf(query))
      }
      scope.add(String(query['ctename']))
    }
  }
  visit(rest, scope, found)
}

function visitTable(node: Node, scope: ReadonlySet<string>, found: Found): void {
  const name = String(node['relname'])
  if (node['schemaname'] !== undefined || node['catalogname'] !== undefined) {
    throw new Refused(`"${name}" has a schema in front: name datasets by their names alone`, locationOf(node))
  }
  if (scope.has(name)) return
  if (/^pg_/i.test(name)) throw new Refused(`"${name}" is PostgreSQL's own, not a dataset`, locationOf(node))
  found.tables.add(name)
}

function checkQualified(names: readonly string[], what: string, offset: number): void {
  if (names.length > 1 && names[0] !== 'pg_catalog')
    throw new Refused(`${what}s of schema "${names[0]}" are not allowed here`, offset)
}

function checkFunction(node: Node): void {
  const names = namesOf(node['funcname'])
  const name = names.at(-1) ?? ''
  checkQualified(names, 'function', locationOf(node))
  if (names.length > 2 || !allowedFunctions.has(name))
    throw new Refused(`the function ${name}() is not allowed here`, locationOf(node))
}

function checkType(node: Node, scope: ReadonlySet<string>, found: Found): void {
  const names = namesOf(node['names'])
  checkQualified(names, 'type', locationOf(node))
  const name = names.at(-1) ?? ''
  if (!allowedTypes.has(name)) throw new Refused(`the type ${name} is not allowed here`, locationOf(node))
  visit(node['typmods'], scope, found)
}
