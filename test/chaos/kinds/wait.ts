import { idOf, type Kind } from './kind.ts'

export const wait: Kind = {
  weight: 1,
  make: (from, where) => ({
    id: idOf(where),
    yaml: `wait: { for: ${from.below(400)}ms }`,
    anyOrder: true,
    expect: () => ({ state: 'succeeded', counts: { out: 0 } }),
  }),
}
