import { whens } from '#src/domain/run-state.ts'
import { anyStep } from './kinds.ts'
import type { Made, Model } from './kinds/kind.ts'
import { random, type Random } from './random.ts'
import { troubles, type Trouble } from './trouble.ts'

export type Act = { atMs: number } & (
  | { kind: 'cancel'; run: number }
  /** Starts nothing for a while. */
  | { kind: 'pause'; forMs: number }
  | { kind: 'trouble'; trouble: Trouble }
)

/** What one seed does: a pipeline, how often it is started, what somebody does to it, and what goes wrong meanwhile. */
export type Plan = {
  seed: number
  yaml: string
  steps: readonly Made[]
  runs: number
  acts: readonly Act[]
}

export function planOf(seed: number): Plan {
  const from = random(seed)
  const steps: Made[] = []
  const count = 2 + from.below(13)
  for (let position = 0; position < count; position++)
    steps.push(written(from, anyStep(from, { seed, position, before: steps }), steps))
  const runs = 1 + from.below(3)
  const settings = from.chance(0.3) ? `concurrency: ${1 + from.below(2)}\n` : ''
  const act = (): Act => ({ atMs: from.below(1_500), kind: 'trouble', trouble: from.pick(drawn) })
  return {
    seed,
    yaml: `${settings}priority: ${from.below(5)}\n${yamlOf(steps)}`,
    steps,
    runs,
    acts: [
      ...Array.from({ length: from.below(3) }, act),
      ...(from.chance(0.2)
        ? [{ atMs: from.below(900), kind: 'cancel' as const, run: from.below(runs) }]
        : []),
      ...(from.chance(0.1)
        ? [{ atMs: from.below(300), kind: 'pause' as const, forMs: from.below(800) }]
        : []),
    ],
  }
}

const drawn = (Object.keys(troubles) as Trouble[]).flatMap((name) =>
  Array.from({ length: troubles[name] }, () => name),
)

/** Retried at once, and more often than anything goes wrong. */
export const yamlOf = (steps: readonly Made[]): string => `timeout: 30m
retry: { attempts: 20, backoff: constant, first: 100ms, jitter: false }
steps:
${steps.map(({ id, yaml }) => `  - { id: ${id}, ${yaml} }`).join('\n')}
`

/** Steps that read nothing come after some others, under any rule and sometimes a condition; readers follow their data. */
function written(from: Random, step: Made, before: readonly Made[]): Made {
  if (!step.anyOrder || before.length === 0) return step
  const after = from.chance(0.4)
    ? before.slice(-1).map(({ id }) => id)
    : before.filter(() => from.chance(0.3)).map(({ id }) => id)
  const when = from.pick(whens)
  const made =
    after.length > 0 ? { ...step, yaml: `${step.yaml}, after: [${after.join(', ')}], when: ${when}` } : step
  // Who does not wait for all of them may find no outcome to go by, and another run's is not the step's own.
  const waits = after.length === 0 || !['always', 'one_success', 'one_failed'].includes(when)
  const others = waits ? before.filter(({ child }) => !child) : []
  return from.chance(0.15) && others.length > 0 ? onlyIf(from, made, others) : made
}

/** The outcome of an earlier step decides whether this one is skipped. */
function onlyIf(from: Random, step: Made, before: readonly Made[]): Made {
  const other = from.pick(before)
  const wanted = from.pick(['succeeded', 'failed', 'skipped'] as const)
  return {
    ...step,
    yaml: `${step.yaml}, if: 'outputs.${other.id}.state == "${wanted}"'`,
    expect: (model: Model) =>
      model.stateOf(other.id) === wanted ? step.expect(model) : { state: 'skipped' },
  }
}
