import { idOf, type Kind } from './kind.ts'

export const wait: Kind = {
  weight: 3,
  make: (from, where) => ({
    id: idOf(where),
    // What has not to be waited for is worked out ahead.
    yaml: `wait: { for: ${from.chance(0.5) ? 0 : from.below(400)}ms }`,
    anyOrder: true,
    expect: () => ({ state: 'succeeded', counts: { out: 0 } }),
  }),
}
