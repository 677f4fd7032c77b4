import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { bundles } from '#local/build.ts'
import { startWorker } from '#local/worker.ts'
import { withBenchStack } from './bench-stack.ts'
import { measured, median, type Benchmark } from './measure.ts'

const rounds = 7

/** From starting workerd to the Worker's first answer (a file of the console: nothing is asked of a service), less the same for a Worker that is empty. */
export const startup: Benchmark = {
  names: ['startup'],
  targets: { startup: { atMost: 100 } },
  run: (say) =>
    withBenchStack({ worker: 'none' }, async ({ env }) => {
      const dir = await mkdtemp(join(tmpdir(), 'weir-empty-'))
      const script = join(dir, 'empty.js')
      await writeFile(script, `export default { fetch: () => new Response('{}') }\n`)
      // The host puts the grammar beside whatever it runs.
      await copyFile(join(dirname(bundles.workerd), 'libpg-query.wasm'), join(dir, 'libpg-query.wasm'))
      const [ours, empty]: [number[], number[]] = [[], []]
      for (let i = 0; i < rounds; i++) {
        ours.push(await untilFirstAnswer({ env, readyPath: '/icon.svg' }))
        empty.push(await untilFirstAnswer({ env: {}, script }))
      }
      await rm(dir, { recursive: true, force: true })
      say(
        `the Worker answers ${median(ours).toFixed(0)} ms after workerd is started, an empty one ${median(empty).toFixed(0)} ms`,
      )
      return {
        startup: measured(
          ours.map((ms) => ms - median(empty)),
          'ms',
        ),
      }
    }),
}

async function untilFirstAnswer(options: {
  env: Record<string, string>
  script?: string
  readyPath?: string
}): Promise<number> {
  const startedMs = performance.now()
  const worker = await startWorker({ ...options, onLine: () => undefined })
  const ms = performance.now() - startedMs
  await worker.stop()
  return ms
}
