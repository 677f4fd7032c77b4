import pg from 'pg'
import { startBenchApp } from './bench-app.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, median, type Benchmark } from './measure.ts'
import { allSucceeded, shapes, takeAll, wide } from './shapes.ts'

const steps = 40
const warmUps = 5
const chains = 15
/** QStash publishes no latency: what is usual, and what is slow. */
const modelledHopMs = [50, 200]

/** What `chain40`, `fanout1000` and the shapes would take if every step came in a delivery of its own. */
export const hops: Benchmark = {
  names: ['chain40_hops', ...[wide, ...shapes].map(({ name }) => `${name}_hops`)],
  targets: {},
  isLong: true,
  run: (say) =>
    withBenchStack({ worker: 'none' }, async (stack) => {
      const app = await startBenchApp(stack, (services) => ({
        ...services,
        neverHere: true,
        deliveryLimits: { wallMs: 0, calls: 1 },
      }))
      const here = { ...stack, url: app.url }
      const { api, keys } = await caller(here)
      const client = openClient(1)
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      try {
        const pipelineId = await savePipeline(api, idleSteps(steps))
        const ms: number[] = []
        const deliveries: number[] = []
        for (let i = 0; i < warmUps + chains; i++) {
          const before = stack.parts.qstash?.stats().delivered ?? 0
          const sentMs = Date.now()
          await client.ask('POST', `${app.url}/v1/runs`, keys[0] ?? '', { pipelineId })
          const took = (await allSucceeded(owner, pipelineId, i + 1)) - sentMs
          if (i < warmUps) continue
          ms.push(took)
          deliveries.push((stack.parts.qstash?.stats().delivered ?? 0) - before)
        }
        const perRun = median(deliveries)
        say(
          `the app on Node in this process, the local QStash with no latency of its own, one step a delivery: ${perRun} deliveries a run, ${Math.min(...ms)} to ${Math.max(...ms)} ms`,
        )
        for (const hopMs of modelledHopMs)
          say(
            `modelled, not measured: with ${hopMs} ms more a hop ${Math.round(median(ms) + perRun * hopMs)} ms`,
          )
        return { chain40_hops: measured(ms, 'ms'), ...(await takeAll(here, [wide, ...shapes], say, '_hops')) }
      } finally {
        client.close()
        await owner.end()
        await app.close()
      }
    }),
}
