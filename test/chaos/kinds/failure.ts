import { datasetOf, idOf, type Kind } from './kind.ts'

/** Fails whenever it runs. */
export const failure: Kind = {
  weight: 1,
  make: (_, where) => ({
    id: idOf(where),
    yaml: `sql: "select 1 / (n - 1) as q from generate_series(1, 2) n", into: ${datasetOf(where)}_never`,
    anyOrder: true,
    expect: () => ({ state: 'failed' }),
  }),
}
