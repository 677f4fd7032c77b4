import { numbers } from '../rows.ts'
import { datasetOf, idOf, succeeded, type Kind } from './kind.ts'

/** SQL that reads nothing. */
export const generate: Kind = {
  weight: 2,
  make(from, where) {
    const count = 1 + from.below(3_000)
    return {
      id: idOf(where),
      yaml: `sql: "select n::int4 as id from generate_series(1, ${count}) n", into: ${datasetOf(where)}`,
      dataset: datasetOf(where),
      anyOrder: true,
      expect: () => succeeded(numbers(count)),
    }
  },
}
