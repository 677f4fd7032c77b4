import { idOf, type Kind } from './kind.ts'

/**
 * A request to a server that fails a few times for each run before it answers, or that answers later by a callback, and
 * then tells it twice. See outside.ts.
 */
export const call: Kind = {
  weight: 2,
  make(from, where) {
    const n = from.below(1_000)
    const byCallback = from.chance(0.5)
    const query = `n=${n}&step=${where.seed}.${where.position}&run=\${run.id}`
    const how = byCallback
      ? `url: "{outside}/later?${query}", body: { answerTo: "\${callback.url}" }, wait: callback`
      : `url: "{outside}/now?${query}&fails=${from.below(3)}"`
    return {
      id: idOf(where),
      yaml: `call: { ${how}, within: 4s }`,
      anyOrder: true,
      expect: () => ({ state: 'succeeded', counts: { out: 0 }, output: { body: { n } } }),
    }
  },
}
