import { datasetOf, idOf, source, succeeded, type Kind } from './kind.ts'

export const transform: Kind = {
  weight: 2,
  make(from, where) {
    const dataset = source(from, where)
    if (dataset === undefined) return undefined
    const least = 1 + from.below(500)
    return {
      id: idOf(where),
      yaml: `from: ${dataset}, transform: [{ filter: { column: id, gte: ${least} } }], into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      reads: [dataset],
      expect: (model) => succeeded(model.rows(dataset).filter((id) => id >= least)),
    }
  },
}
