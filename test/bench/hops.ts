import pg from 'pg'
import { startBenchApp } from './bench-app.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, median, type Benchmark } from './measure.ts'
import { allSucceeded, fanOut } from './shapes.ts'

const steps = 40
const warmUps = 5
const chains = 15
/** QStash publishes no latency: what is usual, and what is slow. */
const modelledHopMs = [50, 200]

const wideRuns = 3

/** What `chain40` and `fanout1000` would take if every step came in a delivery of its own. */
export const hops: Benchmark = {
  names: ['chain40_hops', 'fanout1000_hops'],
  targets: {},
  isLong: true,
  run: (say) =>
    withBenchStack({ worker: 'none' }, async (stack) => {
      const app = await startBenchApp(stack, (services) => ({
        ...services,
        neverHere: true,
        deliveryLimits: { wallMs: 0, calls: 1 },
      }))
      const { api, keys } = await caller({ ...stack, url: app.url })
      const client = openClient(1)
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const take = async (pipelineId: string, warmUps: number, count: number) => {
        const ms: number[] = []
        const deliveries: number[] = []
        for (let i = 0; i < warmUps + count; i++) {
          const before = stack.parts.qstash?.stats().delivered ?? 0
          const sentMs = Date.now()
          await client.ask('POST', `${app.url}/v1/runs`, keys[0] ?? '', { pipelineId })
          const took = (await allSucceeded(owner, pipelineId, i + 1)) - sentMs
          if (i < warmUps) continue
          ms.push(took)
          deliveries.push((stack.parts.qstash?.stats().delivered ?? 0) - before)
        }
        return { ms, perRun: median(deliveries) }
      }
      try {
        say(
          'the app on Node in this process, the local QStash with no latency of its own, one step a delivery',
        )
        const chain = await take(await savePipeline(api, idleSteps(steps)), warmUps, chains)
        say(
          `a chain of ${steps}: ${chain.perRun} deliveries a run, ${Math.min(...chain.ms)} to ${Math.max(...chain.ms)} ms`,
        )
        for (const hopMs of modelledHopMs)
          say(
            `modelled, not measured: with ${hopMs} ms more a hop ${Math.round(median(chain.ms) + chain.perRun * hopMs)} ms`,
          )
        const wide = await take(await savePipeline(api, fanOut(1_000)), 1, wideRuns)
        say(
          `1, 1,000, 1: ${wide.perRun} deliveries a run, ${Math.min(...wide.ms)} to ${Math.max(...wide.ms)} ms`,
        )
        return {
          chain40_hops: measured(chain.ms, 'ms'),
          fanout1000_hops: measured(
            wide.ms.map((each) => each / 1_000),
            's',
          ),
        }
      } finally {
        client.close()
        await owner.end()
        await app.close()
      }
    }),
}
