import { parseArgs } from 'node:util'
import { play, type Outcome } from './seeds.ts'
import { openStage } from './stage.ts'

/** Seeds at once, and how many share a stage before it is made anew. */
const atOnce = 8
const perStage = 200

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
})
const first = Number(values.seed ?? values.from ?? 1)
const count = values.seed === undefined ? Number(values.seeds ?? 20) : 1
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  console.error('Usage: npm run chaos -- [--seeds N] [--from N] | --seed N')
  process.exit(2)
}

const sum = { lost: 0, doubled: 0, stuck: 0, leaked: 0 }
for (let at = first; at < first + count; at += perStage) {
  const stage = await openStage({ tenants: Math.min(atOnce, count), seed: at })
  try {
    const last = Math.min(at + perStage, first + count)
    for (let seed = at; seed < last; seed += atOnce) {
      const seeds = Array.from({ length: Math.min(atOnce, last - seed) }, (_, i) => seed + i)
      for (const outcome of await play(stage, seeds)) tell(outcome)
    }
    const open = await stage.openTransactions()
    if (open > 0) {
      console.log(`leaked: ${open} transactions were left open`)
      sum.leaked += open
    }
  } finally {
    await stage.stop()
  }
}
console.log(`seeds=${count} lost=${sum.lost} doubled=${sum.doubled} stuck=${sum.stuck} leaked=${sum.leaked}`)
process.exit(Object.values(sum).some((n) => n > 0) ? 1 : 0)

function tell({ plan, verdict, ms, ends }: Outcome): void {
  const faults = plan.faults.map(({ kind, atMs }) => `${kind}@${atMs}`).join(' ') || 'none'
  console.log(
    `seed ${plan.seed}: ${plan.steps.length} steps × ${plan.runs} runs, faults ${faults}, ${plan.cancels.length} cancelled: ${ends.join(', ')} in ${ms} ms`,
  )
  for (const words of verdict.words) console.log(`  ${words}`)
  for (const key of ['lost', 'doubled', 'stuck', 'leaked'] as const) sum[key] += verdict[key]
}
