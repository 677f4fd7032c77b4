import { copyFile, cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { bundles } from '#local/build.ts'
import { startWorker } from '#local/worker.ts'
import { withBenchStack } from './bench-stack.ts'
import { measured, median, type Benchmark } from './measure.ts'

const rounds = 7

/**
 * From starting workerd to the Worker's first answer (a file of the console: nothing is asked of a service), less the same
 * for a Worker that carries the same modules and reads none of them: what Miniflare needs to hand a megabyte to workerd,
 * 60 ms and more, is no part of a start on the platform.
 */
export const startup: Benchmark = {
  names: ['startup'],
  targets: { startup: { atMost: 100 } },
  run: (say) =>
    withBenchStack({ worker: 'none' }, async ({ env }) => {
      const dir = await mkdtemp(join(tmpdir(), 'weir-empty-'))
      const idle = `export default { fetch: () => new Response('{}') }\n`
      const script = join(dir, 'empty', 'worker.js')
      const carrying = join(dir, 'carrying', 'worker.js')
      await cp(dirname(bundles.workerd), dirname(carrying), { recursive: true })
      await rename(carrying, join(dirname(carrying), 'unread.js'))
      await writeFile(carrying, idle)
      await mkdir(dirname(script))
      await writeFile(script, idle)
      // The host puts the grammar beside whatever it runs.
      await copyFile(
        join(dirname(bundles.workerd), 'libpg-query.wasm'),
        join(dirname(script), 'libpg-query.wasm'),
      )
      const [ours, floor, empty]: [number[], number[], number[]] = [[], [], []]
      for (let i = 0; i < rounds; i++) {
        ours.push(await untilFirstAnswer({ env, readyPath: '/icon.svg' }))
        floor.push(await untilFirstAnswer({ env: {}, script: carrying }))
        empty.push(await untilFirstAnswer({ env: {}, script }))
      }
      await rm(dir, { recursive: true, force: true })
      say(
        `the Worker answers ${median(ours).toFixed(0)} ms after workerd is started, an empty one ${median(empty).toFixed(0)} ms, one that carries as much ${median(floor).toFixed(0)} ms`,
      )
      return {
        startup: measured(
          ours.map((ms) => ms - median(floor)),
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
