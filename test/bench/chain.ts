import pg from 'pg'
import { caller, savePipeline, startRun, withBenchStack } from './bench-stack.ts'
import { measured, type Benchmark } from './measure.ts'

const warmUps = 5
const chains = 25
const bursts = 3
const burst = 1_000
const inFlight = 32

/** Steps that do nothing: what is left is the engine itself. PostgreSQL runs with fsync on. */
export const chain: Benchmark = {
  names: ['chain40', 'runs1000'],
  targets: { chain40: { atMost: 150 }, runs1000: { atMost: 3 } },
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const { keys } = await caller(stack, 8)
      const [key = ''] = keys
      const step = (i: number) => ({
        id: `s${i}`,
        wait: { for: '0s' },
        ...(i === 0 ? {} : { after: [`s${i - 1}`] }),
      })
      const forty = await savePipeline(
        stack,
        key,
        'chain40',
        Array.from({ length: 40 }, (_, i) => step(i)),
      )
      const one = await savePipeline(stack, key, 'single', [step(0)])

      const ms: number[] = []
      for (let i = 0; i < warmUps + chains; i++) {
        const sentMs = Date.now()
        const id = await startRun(stack, key, forty)
        const finishedMs = await endOf(owner, id)
        if (i >= warmUps) ms.push(finishedMs - sentMs)
      }
      say(`chain40: ${Math.min(...ms)} to ${Math.max(...ms)} ms from the request sent to the run finished`)

      const seconds: number[] = []
      for (let i = 0; i < bursts; i++) {
        const sentMs = Date.now()
        // Each key may start a thousand runs a minute, and a key's burst must not meet the limit of the one before.
        const own = keys.slice(2 * i, 2 * i + 2)
        await inParallel(burst, (n) => startRun(stack, own[n % own.length] ?? key, one))
        const startedMs = Date.now()
        const finishedMs = await allOver(owner, one, burst * (i + 1))
        seconds.push((finishedMs - sentMs) / 1000)
        say(
          `runs1000: all started after ${startedMs - sentMs} ms, all finished after ${finishedMs - sentMs} ms`,
        )
      }
      await owner.end()
      return { chain40: measured(ms, 'ms'), runs1000: measured(seconds, 's') }
    }),
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 25))

/** When the run finished by the database's clock, which is this machine's. */
async function endOf(owner: pg.Client, run: string): Promise<number> {
  for (;;) {
    const { rows } = await owner.query<{ finished_at: Date | null; state: string }>(
      'select finished_at, state from runs where id = $1',
      [run],
    )
    const [row] = rows
    if (row?.finished_at) {
      if (row.state !== 'succeeded') throw new Error(`the run ended as ${row.state}`)
      return row.finished_at.getTime()
    }
    await pause()
  }
}

async function allOver(owner: pg.Client, pipeline: string, expected: number): Promise<number> {
  for (;;) {
    const { rows } = await owner.query<{ over: number; last: Date }>(
      `select count(*)::int as over, max(finished_at) as last from runs where pipeline_id = $1 and state = 'succeeded'`,
      [pipeline],
    )
    const [row] = rows
    if (row && row.over >= expected) return row.last.getTime()
    await pause()
  }
}

async function inParallel(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
}
