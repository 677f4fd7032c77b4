import { sqlTypes, type ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { WriteMode } from '../connector.ts'
import { formatTableName, parseTableName, type TableName } from './name.ts'
import { findRelation, schemaExists, type Relation } from './relation.ts'
import type { PostgresSession } from './session.ts'
import { isTaken, loadCastOf } from './types.ts'

export type LoadSpec = {
  /** Names the load in the destination: the same for every attempt of it, and for nothing else. */
  loadId: string
  /** `schema.table`; see `parseTableName`. */
  table: string
  mode: WriteMode
  key?: readonly string[] | undefined
  columns: readonly ColumnSpec[]
}

export type LoadColumn = {
  name: string
  /** What the engine casts the column to in its own SELECT; its binary values then go into the stage as they are. */
  cast: string
  /** What the stage's value is cast to on its way into the target. */
  targetCast: string
}

export type LoadPlan = {
  table: TableName
  mode: WriteMode
  key: readonly string[]
  columns: readonly LoadColumn[]
  targetExists: boolean
}

/** Compares what is to be loaded with what is there, so that a load that cannot end well does not begin. */
export async function planLoad(session: PostgresSession, spec: LoadSpec): Promise<LoadPlan> {
  const table = parseTableName(spec.table)
  const key = spec.mode === 'upsert' ? (spec.key ?? []) : []
  const relation = await findRelation(session, table)
  const problem =
    ownProblem(spec, key) ??
    (relation ? relationProblem(spec, relation, key) : undefined) ??
    (relation || (await schemaExists(session, table.schema)) ? undefined : unknownSchema(table))
  if (problem) {
    const { name } = session.connection
    throw new StepFailure(
      problem.code,
      `Connection "${name}", table ${formatTableName(table)}: ${problem.words}`,
    )
  }
  const plan = naturalPlan(spec)
  if (!relation) return plan
  const columns = plan.columns.map((column) => {
    const target = relation.columns.find(({ name }) => name === column.name)
    return target ? { ...column, targetCast: loadCastOf(target) } : column
  })
  return { ...plan, columns, targetExists: true }
}

/** The plan where there is no target to compare with. */
export function naturalPlan(spec: LoadSpec): LoadPlan {
  return {
    table: parseTableName(spec.table),
    mode: spec.mode,
    key: spec.mode === 'upsert' ? (spec.key ?? []) : [],
    columns: spec.columns.map(({ name, type }) => ({
      name,
      cast: sqlTypes[type],
      targetCast: sqlTypes[type],
    })),
    targetExists: false,
  }
}

type Problem = { code: string; words: string }

const mismatch = (words: string): Problem => ({ code: 'schema_mismatch', words })
const named = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ')
const unknownSchema = ({ schema }: TableName): Problem => ({
  code: 'unknown_schema',
  words: `there is no schema "${schema}"; create it first.`,
})

function ownProblem({ columns, mode }: LoadSpec, key: readonly string[]): Problem | undefined {
  const names = columns.map(({ name }) => name)
  const bad = names.filter((name, i) => !isIdentifier(name) || names.indexOf(name) !== i)
  if (bad.length > 0) return mismatch(`${named(bad)} cannot be the name of a column there, or occurs twice.`)
  if (mode !== 'upsert') return undefined
  if (key.length === 0) return { code: 'no_key', words: 'an upsert needs a key.' }
  const missing = key.filter((name) => !names.includes(name))
  return missing.length > 0
    ? mismatch(`the key's ${named(missing)} is not among the columns to load.`)
    : undefined
}

/** PostgreSQL cuts longer names in silence, so that two could become one. */
const isIdentifier = (name: string): boolean =>
  name !== '' && !name.includes('\0') && new TextEncoder().encode(name).length <= 63

function relationProblem(
  { columns, mode }: LoadSpec,
  relation: Relation,
  key: readonly string[],
): Problem | undefined {
  if (relation.kind !== 'table' && relation.kind !== 'partitioned') {
    return {
      code: 'not_a_table',
      words: `it is a ${relation.kind === 'view' ? 'view' : `${relation.kind} table`}; a load needs an ordinary one.`,
    }
  }
  const targets = new Map(relation.columns.map((column) => [column.name, column]))
  const sources = new Set(columns.map(({ name }) => name))
  const extra = columns.filter(({ name }) => !targets.has(name)).map(({ name }) => name)
  const readOnly = columns.filter(({ name }) => targets.get(name)?.isGenerated).map(({ name }) => name)
  const missing = relation.columns
    .filter(
      ({ name, isNotNull, hasDefault, isGenerated }) =>
        isNotNull && !hasDefault && !isGenerated && !sources.has(name),
    )
    .map(({ name }) => name)
  const incompatible = columns.flatMap(({ name, type }) => {
    const target = targets.get(name)
    return target && !isTaken(type, target)
      ? [`"${name}" is ${target.sqlType}, which does not take every ${type}`]
      : []
  })
  const words = [
    extra.length > 0 ? `it has no column ${named(extra)}` : '',
    missing.length > 0 ? `its column ${named(missing)} must not be null and is not loaded` : '',
    readOnly.length > 0 ? `its column ${named(readOnly)} is generated` : '',
    ...incompatible,
  ].filter((part) => part !== '')
  if (words.length > 0) return mismatch(`${words.join('; ')}.`)
  if (mode === 'upsert' && !hasUniqueKey(relation, key)) {
    return { code: 'no_unique_key', words: `an upsert needs a unique index on exactly ${named(key)}.` }
  }
  return undefined
}

const hasUniqueKey = (relation: Relation, key: readonly string[]): boolean =>
  relation.uniqueKeys.some(
    ({ columns }) => columns.length === key.length && columns.every((column) => key.includes(column)),
  )
