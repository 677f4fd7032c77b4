import { generate } from './generate.ts'
import { idOf, type Kind, type Made, type Where } from './kind.ts'
import { load } from './load.ts'
import { transform } from './transform.ts'
import { wait } from './wait.ts'

/** A run of another pipeline, waited for or not. */
export const pipeline: Kind = {
  weight: 1,
  make(from, where) {
    const steps: Made[] = []
    // Names of what it makes must not be those of the steps around it.
    const within = (at: number): Where => ({
      ...where,
      position: 100 * (where.position + 1) + at,
      before: steps,
    })
    for (const [at, kind] of [generate, wait, transform, load].slice(0, 1 + from.below(4)).entries()) {
      const made = kind.make(from, within(at))
      if (made) steps.push(made)
    }
    const name = `chaos-${where.seed}-${where.position}-{salt}`
    const waits = from.chance(0.7)
    return {
      id: idOf(where),
      yaml: `pipeline: { name: ${name}, wait: ${waits} }`,
      anyOrder: true,
      child: { name, steps },
      expect: () => ({
        state: 'succeeded',
        counts: { out: 0 },
        ...(waits ? { output: { state: 'succeeded' } } : {}),
      }),
    }
  },
}
