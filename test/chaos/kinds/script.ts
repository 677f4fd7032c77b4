import { datasetOf, idOf, source, succeeded, type Kind } from './kind.ts'

export const script: Kind = {
  weight: 1,
  make(from, where) {
    const dataset = source(from, where)
    if (dataset === undefined) return undefined
    return {
      id: idOf(where),
      yaml: `script: { from: ${dataset}, columns: { id: integer }, code: "export default (rows) => rows.filter(({ id }) => id % 3 !== 0)" }, into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      reads: [dataset],
      expect: (model) => succeeded(model.rows(dataset).filter((id) => id % 3 !== 0)),
    }
  },
}
