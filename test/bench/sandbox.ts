import { readQuickjs } from '#local/quickjs.ts'
import { openSandbox } from '#src/sandbox/sandbox.ts'
import { measured, type Benchmark } from './measure.ts'

const rounds = 7
/** A megabyte of them, as the engine gives to a script. */
const rows = Array.from({ length: 12_000 }, (_, i) => ({
  date: `2001-01-${10 + (i % 20)}`,
  delay: i % 100,
  distance: 500 + (i % 1_000),
  origin: 'ORD',
  destination: 'JFK',
}))
const code = `export default (rows) => rows.map((row) => ({ ...row, late: row.delay > 15, mph: row.distance / 2 }))`

/** Rows a second that a script of one line turns into others, text in and text out, on one core. */
export const sandbox: Benchmark = {
  names: ['sandbox_rows'],
  targets: { sandbox_rows: { atLeast: 100_000 } },
  async run(say) {
    const before = process.memoryUsage()
    const module = await WebAssembly.compile(await readQuickjs())
    const openedMs = performance.now()
    const opened = await openSandbox(module, { code, memoryMb: 16, cpuMs: 10_000 })
    say(`a script is opened in ${(performance.now() - openedMs).toFixed(0)} ms`)
    const batch = { rows: JSON.stringify(rows), context: '{}', now: 0, seed: 0 }
    const perSecond: number[] = []
    for (let round = -1; round < rounds; round++) {
      const startedMs = performance.now()
      for (let i = 0; i < 5; i++) opened.apply(batch)
      if (round >= 0) perSecond.push((5 * rows.length * 1_000) / (performance.now() - startedMs))
    }
    const after = process.memoryUsage()
    const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(0)
    say(
      `the process has grown by ${mb(after.rss - before.rss)} MB, by ${mb(after.arrayBuffers + after.external - before.arrayBuffers - before.external)} MB of buffers`,
    )
    return { sandbox_rows: measured(perSecond, 'rows/s') }
  },
}
