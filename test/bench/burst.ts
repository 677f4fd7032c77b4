import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { inParallel, openClient } from './client.ts'
import { measured, type Benchmark } from './measure.ts'
import { cpuMs, inWords, used } from './processes.ts'

const bursts = 5
const runs = 1_000
const atOnce = 32
const pollMs = 100

/** A thousand runs of one step each, started over the API by many at once, until the last one is finished; on both platforms. */
export const burst: Benchmark = {
  names: ['runs1000', 'runs1000_deno'],
  targets: { runs1000: { atMost: 2 }, runs1000_deno: { atMost: 2 } },
  run: async (say) => ({
    runs1000: measured(await burstsOn('workerd', say), 's'),
    runs1000_deno: measured(await burstsOn('deno', say), 's'),
  }),
}

function burstsOn(worker: 'workerd' | 'deno', say: (line: string) => void): Promise<number[]> {
  return withBenchStack({ worker }, async (stack) => {
    // Each key may make a thousand requests a minute, and a burst must not meet the limit of the one before.
    const { api, keys } = await caller(stack, 2 * bursts)
    const pipelineId = await savePipeline(api, idleSteps(1))
    const owner = new pg.Client({ connectionString: stack.ownerUrl })
    await owner.connect()
    const client = openClient(atOnce)
    const seconds: number[] = []
    for (let i = 0; i < bursts; i++) {
      const own = keys.slice(2 * i, 2 * i + 2)
      const before = await cpuMs(stack.worker?.pid())
      const sentMs = Date.now()
      await inParallel(runs, atOnce, (n) =>
        client.ask('POST', `${stack.url}/v1/runs`, own[n % own.length] ?? '', { pipelineId }),
      )
      const startedMs = Date.now() - sentMs
      const finishedMs = (await allOver(owner, runs * (i + 1))) - sentMs
      seconds.push(finishedMs / 1000)
      say(`${worker}: all started after ${startedMs} ms, all finished after ${finishedMs} ms`)
      say(`of one run: ${inWords(used(before, await cpuMs(stack.worker?.pid())), runs)}`)
    }
    client.close()
    await owner.end()
    return seconds
  })
}

/** When the last one finished, by the database's clock. */
async function allOver(owner: pg.Client, expected: number): Promise<number> {
  for (;;) {
    const { rows } = await owner.query<{ open: number }>(
      'select count(*)::int as open from runs where finished_at is null',
    )
    if (rows[0]?.open === 0) break
    await pause(pollMs)
  }
  const { rows } = await owner.query<{ over: number; last: Date }>(
    `select count(*)::int as over, max(finished_at) as last from runs where state = 'succeeded'`,
  )
  const [row] = rows
  if (row?.over !== expected) throw new Error(`${row?.over} of ${expected} runs succeeded`)
  return row.last.getTime()
}
