import { whens } from '#src/domain/run-state.ts'
import { kinds, type Made } from './kinds.ts'
import { random, type Random } from './random.ts'

export type ChaosFault = { atMs: number; kind: 'kill' | 'cut' | 'freeze' | 'crash' }

/** What one seed does: a pipeline, how often it is started, what is cancelled, and what goes wrong meanwhile. */
export type Plan = {
  seed: number
  yaml: string
  steps: readonly Made[]
  /** Destination tables that the steps load into. */
  tables: readonly string[]
  runs: number
  /** Which of the runs are cancelled, and when. */
  cancels: readonly { run: number; atMs: number }[]
  faults: readonly ChaosFault[]
}

export function planOf(seed: number): Plan {
  const from = random(seed)
  const steps: Made[] = []
  const count = 2 + from.below(11)
  for (let position = 0; position < count; position++) {
    const able = kinds.filter((kind) => !kind.needsData || steps.some(({ rows }) => rows))
    steps.push(from.pick(able).make(from, { seed, position, before: steps }))
  }
  const runs = 1 + from.below(3)
  const concurrency = from.chance(0.3) ? `concurrency: ${1 + from.below(2)}\n` : ''
  const yaml = `${concurrency}retry: { attempts: 8, backoff: constant, first: 100ms, jitter: false }
steps:
${steps.map((step) => `  - { id: ${step.id}, ${step.yaml}${orderOf(from, step, steps)} }`).join('\n')}
`
  return {
    seed,
    yaml,
    steps,
    tables: steps.flatMap(({ load }) => (load ? [load.table] : [])),
    runs,
    cancels: from.chance(0.2) ? [{ run: from.below(runs), atMs: from.below(900) }] : [],
    faults: Array.from({ length: from.below(3) }, () => ({ atMs: from.below(1_500), kind: faultOf(from) })),
  }
}

const faultOf = (from: Random): ChaosFault['kind'] =>
  from.chance(0.04) ? 'crash' : from.pick(['kill', 'cut', 'freeze', 'cut'])

/** Steps that read nothing come after some others under any rule; readers follow their data. */
function orderOf(from: Random, step: Made, all: readonly Made[]): string {
  const earlier = all.slice(0, all.indexOf(step))
  if (!step.anyOrder || earlier.length === 0 || from.chance(0.4)) return ''
  const after = earlier.filter(() => from.chance(0.4)).map(({ id }) => id)
  return after.length === 0 ? '' : `, after: [${after.join(', ')}], when: ${from.pick(whens)}`
}
