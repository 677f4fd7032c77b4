import type { Random } from './random.ts'
import { fileRows, type Rows } from './rows.ts'

/** A step as it is written, and what it must come to when it runs. */
export type Made = {
  id: string
  /** The inside of its mapping, after the id. */
  yaml: string
  /** The dataset that it makes, or makes anew. */
  dataset?: string
  /** What the dataset then holds. */
  rows?: Rows
  /** Where it loads its rows to. */
  load?: { table: string; mode: 'append' | 'overwrite' | 'upsert'; rows: Rows }
  /** It fails whenever it runs. */
  fails?: true
  /** It reads no data, so that it may come after anything. */
  anyOrder?: true
}

export type Circumstances = { seed: number; position: number; before: readonly Made[] }

/** One kind of step: another one is added here and nowhere else. */
type Kind = { needsData?: true; make(from: Random, where: Circumstances): Made }

const idOf = ({ position }: Circumstances) => `s${position}`
const datasetOf = ({ seed, position }: Circumstances) => `c${seed}_${position}`
/** The dataset of an earlier step as the last one to touch it has left it. */
function source(from: Random, { before }: Circumstances): { dataset: string; rows: Rows } {
  const made = from.pick(before.filter(({ rows }) => rows))
  const last = before.findLast(({ dataset, rows }) => rows && dataset === made.dataset) ?? made
  return { dataset: last.dataset ?? '', rows: last.rows ?? [] }
}

const generate: Kind = {
  make(from, where) {
    const count = 1 + from.below(3_000)
    return {
      id: idOf(where),
      yaml: `sql: "select n::int4 as id from generate_series(1, ${count}) n", into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      rows: Array.from({ length: count }, (_, i) => i + 1),
      anyOrder: true,
    }
  },
}

const extract: Kind = {
  make: (_, where) => ({
    id: idOf(where),
    yaml: `extract: { connection: files, stream: rows.csv }, into: ${datasetOf(where)}`,
    dataset: datasetOf(where),
    rows: fileRows,
  }),
}

const filter: Kind = {
  needsData: true,
  make(from, where) {
    const { dataset, rows } = source(from, where)
    const least = 1 + from.below(500)
    return {
      id: idOf(where),
      yaml: `from: ${dataset}, transform: [{ filter: { column: id, gte: ${least} } }], into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      rows: rows.filter((id) => id >= least),
    }
  },
}

const union: Kind = {
  needsData: true,
  make(from, where) {
    const [one, other] = [source(from, where), source(from, where)]
    return {
      id: idOf(where),
      yaml: `sql: "select id from ${one.dataset} union all select id from ${other.dataset}", into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      rows: [...one.rows, ...other.rows],
    }
  },
}

const script: Kind = {
  needsData: true,
  make(from, where) {
    const { dataset, rows } = source(from, where)
    return {
      id: idOf(where),
      yaml: `script: { from: ${dataset}, columns: { id: integer }, code: "export default (rows) => rows.filter(({ id }) => id % 3 !== 0)" }, into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      rows: rows.filter((id) => id % 3 !== 0),
    }
  },
}

const load: Kind = {
  needsData: true,
  make(from, where) {
    const { dataset, rows } = source(from, where)
    const table = `chaos_${where.seed}_${where.position}`
    const mode = from.pick(['append', 'overwrite', 'upsert'] as const)
    const isKey = new Set(rows).size === rows.length
    const how = mode === 'upsert' && isKey ? 'upsert, key: [id]' : mode === 'upsert' ? 'append' : mode
    return {
      id: idOf(where),
      yaml: `load: { from: ${dataset}, connection: warehouse, table: public.${table}, mode: ${how} }`,
      load: { table, mode: mode === 'upsert' && !isKey ? 'append' : mode, rows },
    }
  },
}

const wait: Kind = {
  make: (from, where) => ({ id: idOf(where), yaml: `wait: { for: ${from.below(400)}ms }`, anyOrder: true }),
}

const map: Kind = {
  make: (from, where) => ({
    id: idOf(where),
    yaml: `map: { over: [${Array.from({ length: 1 + from.below(12) }, (_, i) => i).join(', ')}], atOnce: ${1 + from.below(4)}, steps: [{ id: inner, wait: { for: ${from.below(60)}ms } }] }`,
    anyOrder: true,
  }),
}

const failure: Kind = {
  make: (_, where) => ({
    id: idOf(where),
    yaml: `sql: "select 1 / (n - 1) as q from generate_series(1, 2) n", into: ${datasetOf(where)}`,
    fails: true,
    anyOrder: true,
  }),
}

export const kinds: readonly Kind[] = [
  generate,
  generate,
  extract,
  filter,
  filter,
  union,
  script,
  load,
  load,
  wait,
  map,
  failure,
]
