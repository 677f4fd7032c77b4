import { runDemo } from '#local/demo.ts'
import { withBenchStack } from './bench-stack.ts'
import { measured, type Benchmark } from './measure.ts'

const rounds = 3

/** What the Worker's process holds at most above what it holds when idle, during the demo's run: V8's heap has 128 MB. */
export const memory: Benchmark = {
  names: ['isolate_memory'],
  targets: { isolate_memory: { atMost: 128 } },
  async run(say) {
    const megabytes: number[] = []
    for (let round = 1; round <= rounds; round++) {
      await withBenchStack({ v8Flags: ['--max-old-space-size=128'] }, async (stack) => {
        const demo = await runDemo(stack, AbortSignal.timeout(600_000), () => undefined)
        if (!demo.ok)
          throw new Error(`the demo ended as ${demo.run.state}, and its numbers are not all right`)
        megabytes.push((demo.peakBytes - demo.idleBytes) / 1024 / 1024)
        const steps = demo.run.steps.map(({ key, rowsIn, startedAt = '', finishedAt = '' }) => {
          const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000
          return `${key} ${seconds.toFixed(1)} s${rowsIn > 100_000 ? ` (${Math.round(rowsIn / seconds / 1000)}k rows/s)` : ''}`
        })
        say(
          `round ${round}: ${megabytes.at(-1)?.toFixed(0)} MB above ${(demo.idleBytes / 1024 / 1024).toFixed(0)}, ` +
            `${(demo.ms / 1000).toFixed(1)} s: ${steps.join(', ')}`,
        )
      })
    }
    return { isolate_memory: measured(megabytes, 'MB') }
  },
}
