import { parseArgs } from 'node:util'
import type { Fault } from './judge.ts'
import type { Act } from './plan.ts'
import { play, type Outcome } from './seeds.ts'
import { openStage } from './stage.ts'

/** Seeds at once, and how many share a stage before it is made anew. */
const atOnce = 12
const perStage = 250

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
})
const first = Number(values.seed ?? values.from ?? 1)
const count = values.seed === undefined ? Number(values.seeds ?? 20) : 1
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error('Usage: npm run chaos -- [--seeds N] [--from N] | --seed N')
  process.exit(2)
}

const startedMs = Date.now()
const sum: Record<Fault, number> = { lost: 0, doubled: 0, stuck: 0, leaked: 0 }
for (let at = first; at < first + count; at += perStage) {
  const seeds = Array.from({ length: Math.min(perStage, first + count - at) }, (_, i) => at + i)
  const stage = await openStage({ tenants: Math.min(atOnce, seeds.length), seed: at })
  try {
    const { leaks } = await play(stage, seeds, tell)
    for (const leak of leaks) console.log(`leaked: ${leak}`)
    sum.leaked += leaks.length
  } finally {
    await stage.stop()
  }
}
const seconds = (Date.now() - startedMs) / 1000
console.log(`${seconds.toFixed(0)} s, ${(count / seconds).toFixed(2)} seeds a second`)
console.log(`seeds=${count} lost=${sum.lost} doubled=${sum.doubled} stuck=${sum.stuck} leaked=${sum.leaked}`)
process.exit(Object.values(sum).some((n) => n > 0) ? 1 : 0)

function tell({ plan, verdict, ms, ends }: Outcome): void {
  const acts = plan.acts.map((act) => `${nameOf(act)}@${act.atMs}`).join(' ') || 'nothing'
  console.log(
    `seed ${plan.seed}: ${plan.steps.length} steps × ${plan.runs} runs, ${acts}: ${ends.join(', ')} in ${ms} ms`,
  )
  for (const words of verdict.words) console.log(`  ${words}`)
  for (const fault of Object.keys(sum) as Fault[]) sum[fault] += verdict[fault]
}

function nameOf(act: Act): string {
  return act.kind === 'trouble' ? act.trouble : act.kind
}
