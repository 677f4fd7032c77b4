import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { root } from '#local/build.ts'
import { measured, type Benchmark } from './measure.ts'

/** How long `npm test` takes; a run that fails has no time. */
export const testTime: Benchmark = {
  names: ['test_time'],
  isLong: true,
  targets: { test_time: { atMost: 180 } },
  async run() {
    const startedMs = performance.now()
    const child = spawn('npm', ['test'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
    const [code] = (await once(child, 'exit')) as [number]
    if (code !== 0) throw new Error(`npm test ended with ${code}`)
    return { test_time: measured([(performance.now() - startedMs) / 1000], 's') }
  },
}
