import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measured, type Benchmark } from './measure.ts'
import { bullmq } from './peers/bullmq.ts'
import { dbos } from './peers/dbos.ts'
import { graphileWorker } from './peers/graphile-worker.ts'
import type { Peer } from './peers/peer.ts'
import { pgBoss } from './peers/pg-boss.ts'
import { restate } from './peers/restate.ts'

const steps = 40
const warmUps = 5
const chains = 15
const runs = 1_000
const bursts = 3

/** The engines people use, at the work that `chain40` and `runs1000` give ours; called in process, without our HTTP. */
export const peers: readonly Benchmark[] = [dbos, restate, bullmq, graphileWorker, pgBoss].map(benchmarkOf)

function benchmarkOf(peer: Peer): Benchmark {
  const names = { chain: `peer_${peer.name}_chain${steps}`, runs: `peer_${peer.name}_runs${runs}` }
  return {
    names: [names.chain, names.runs],
    targets: {},
    isLong: true,
    async run(say) {
      const lack = peer.lacks?.()
      if (lack !== undefined) {
        say(`left out: ${lack}`)
        return {}
      }
      say(peer.settings)
      const dir = await mkdtemp(join(tmpdir(), `weir-peer-`))
      try {
        const open = await peer.open(dir)
        try {
          for (let i = 0; i < warmUps; i++) await open.chain(steps)
          const ms = await times(chains, () => open.chain(steps))
          say(`${steps} steps: ${Math.min(...ms).toFixed(1)} to ${Math.max(...ms).toFixed(1)} ms`)
          await open.runs(100)
          const burstsMs = await times(bursts, () => open.runs(runs))
          say(`${runs} runs: ${burstsMs.map((each) => each.toFixed(0)).join(', ')} ms`)
          return {
            [names.chain]: measured(ms, 'ms'),
            [names.runs]: measured(
              burstsMs.map((each) => each / 1_000),
              's',
            ),
          }
        } finally {
          await open.close()
        }
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    },
  }
}

async function times(count: number, work: () => Promise<void>): Promise<number[]> {
  const ms: number[] = []
  for (let i = 0; i < count; i++) {
    const before = performance.now()
    await work()
    ms.push(performance.now() - before)
  }
  return ms
}
