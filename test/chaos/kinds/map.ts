import { idOf, type Expected, type Kind } from './kind.ts'

/**
 * Items that wait or only think, one of which may be a call; or items each of which has a map of its own, some of whose
 * items are calls that fail at first, that are answered by a callback, or that fail for good.
 */
export const map: Kind = {
  weight: 2,
  make(from, where) {
    const id = idOf(where)
    const pause = () => `wait: { for: ${from.chance(0.3) ? 0 : from.below(60)}ms }`
    const atOnce = () => 1 + from.below(4)
    if (from.chance(0.5)) {
      const items = Array.from({ length: 1 + from.below(12) }, (_, i) => i)
      const called = `{ id: ask, if: item == 0, call: { url: "{outside}/now?n=1&step=${where.seed}.${where.position}&run=\${run.id}&fails=0", within: 4s } }`
      const steps = [`{ id: pause, ${pause()} }`, ...(from.chance(0.3) ? [called] : [])]
      return {
        id,
        yaml: `map: { over: [${items.join(', ')}], atOnce: ${atOnce()}, steps: [${steps.join(', ')}] }`,
        anyOrder: true,
        expect: () => ({
          state: 'succeeded',
          counts: { out: 0 },
          output: { items: items.length },
          items: { [id]: { succeeded: items.length } },
        }),
      }
    }
    const outer = Array.from({ length: 1 + from.below(5) }, (_, n) => ({
      n,
      parts: Array.from({ length: from.below(8) }, (_part, part) => part),
    }))
    const query = `n=\${part}&step=${where.seed}.${where.position}.\${item.n}.\${part}&run=\${run.id}`
    const inner = [
      `{ id: pause, if: part != ${from.below(3)}, ${pause()} }`,
      ...(from.chance(0.4)
        ? [
            `{ id: ask, if: part == item.n, call: { url: "{outside}/now?${query}&fails=${from.below(3)}", within: 4s } }`,
          ]
        : []),
      ...(from.chance(0.3)
        ? [
            `{ id: told, if: part == 1, call: { url: "{outside}/later?${query}", body: { answerTo: "\${callback.url}" }, wait: callback, within: 4s } }`,
          ]
        : []),
    ]
    // Of the last item that has so many.
    const broken = from.chance(0.2) ? from.below(6) : undefined
    if (broken !== undefined)
      inner.push(
        `{ id: broken, if: part == ${broken} and item.n == ${outer.length - 1}, pipeline: { name: nobody } }`,
      )
    const fails = broken !== undefined && (outer.at(-1)?.parts.length ?? 0) > broken
    const steps = [
      `{ id: before, ${pause()} }`,
      `{ id: inner, map: { over: "\${item.parts}", as: part, atOnce: ${atOnce()}, steps: [${inner.join(', ')}] } }`,
      `{ id: after_it, if: outputs.inner.items > 3, ${pause()} }`,
    ]
    const lists = outer.map(({ n, parts }) => `{ n: ${n}, parts: [${parts.join(', ')}] }`)
    const parts = outer.reduce((sum, each) => sum + each.parts.length, 0)
    const lost = fails ? 1 : 0
    const items = {
      [id]: { succeeded: outer.length - lost, failed: lost },
      [`${id}.inner`]: { succeeded: parts - lost, failed: lost },
    }
    const results = outer.map((each) => ({
      before: {},
      inner: { items: each.parts.length },
      ...(each.parts.length > 3 ? { after_it: {} } : {}),
    }))
    const comes: Expected = fails
      ? { state: 'failed', items }
      : { state: 'succeeded', counts: { out: 0 }, output: { items: outer.length, results }, items }
    return {
      id,
      yaml: `map: { over: [${lists.join(', ')}], atOnce: ${atOnce()}, steps: [${steps.join(', ')}] }`,
      anyOrder: true,
      expect: () => comes,
    }
  },
}
