import { fileRows } from '../rows.ts'
import { datasetOf, idOf, succeeded, type Kind } from './kind.ts'

export const extract: Kind = {
  weight: 2,
  make(from, where) {
    const file = from.pick(['rows.csv', 'rows.ndjson'] as const)
    return {
      id: idOf(where),
      yaml: `extract: { connection: files, stream: ${file} }, into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      anyOrder: true,
      expect: () => succeeded(fileRows[file]),
    }
  },
}
