import { idOf, type Kind } from './kind.ts'

/** Items that wait, one of which may be a call. */
export const map: Kind = {
  weight: 1,
  make(from, where) {
    const items = Array.from({ length: 1 + from.below(12) }, (_, i) => i)
    const called = `{ id: ask, if: item == 0, call: { url: "{outside}/now?n=1&step=${where.seed}.${where.position}&run=\${run.id}&fails=0", within: 4s } }`
    const steps = [`{ id: pause, wait: { for: ${from.below(60)}ms } }`, ...(from.chance(0.3) ? [called] : [])]
    return {
      id: idOf(where),
      yaml: `map: { over: [${items.join(', ')}], atOnce: ${1 + from.below(4)}, steps: [${steps.join(', ')}] }`,
      anyOrder: true,
      expect: () => ({ state: 'succeeded', counts: { out: 0 }, output: { items: items.length } }),
    }
  },
}
