import { datasetOf, idOf, source, succeeded, type Kind } from './kind.ts'

/** SQL that reads two datasets, or one of them twice. */
export const union: Kind = {
  weight: 1,
  make(from, where) {
    const [one, other] = [source(from, where), source(from, where)]
    if (one === undefined || other === undefined) return undefined
    return {
      id: idOf(where),
      yaml: `sql: "select id from ${one} union all select id from ${other}", into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      reads: [one, other],
      expect: (model) => succeeded([...model.rows(one), ...model.rows(other)]),
    }
  },
}
