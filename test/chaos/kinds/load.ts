import { idOf, source, type Kind, type Made } from './kind.ts'

/** Into a table of the warehouse, sometimes through the connection that only one step may use at once. */
export const load: Kind = {
  weight: 3,
  make(from, where) {
    const dataset = source(from, where)
    if (dataset === undefined) return undefined
    const table = `chaos_${where.seed}_${where.position}_{salt}`
    // Rows that are there twice have no key.
    const mode = from.pick([
      'append',
      'overwrite',
      hasKey(where.before, dataset) ? 'upsert' : 'append',
    ] as const)
    const how = mode === 'upsert' ? 'upsert, key: [id]' : mode
    return {
      id: idOf(where),
      yaml: `load: { from: ${dataset}, connection: ${from.pick(['warehouse', 'narrow'])}, table: public.${table}, mode: ${how} }`,
      reads: [dataset],
      expect(model) {
        const rows = model.rows(dataset)
        return {
          state: 'succeeded',
          counts: { in: rows.length, out: rows.length },
          loads: { table, mode, rows },
        }
      },
    }
  },
}

/** Only what was put together of two datasets has an id twice. */
function hasKey(steps: readonly Made[], dataset: string): boolean {
  const maker = steps.find((step) => step.dataset === dataset)
  const reads = maker?.reads ?? []
  return reads.length < 2 && reads.every((each) => hasKey(steps, each))
}
