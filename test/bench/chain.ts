import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Stack } from '#local/stack.ts'
import { caller, idleSteps, makingSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, median, type Benchmark } from './measure.ts'
import { cpuMs, inWords, used } from './processes.ts'

const steps = 40
const warmUps = 5
const chains = 25
/** Long enough not to disturb what is measured; when a run ended is not when it is seen, but what the database noted. */
const pollMs = 20

/**
 * A run of steps that do nothing: what is left is the engine itself; and a run of steps that each make a dataset of one row.
 * PostgreSQL runs with fsync on.
 */
export const chain: Benchmark = {
  names: ['chain40', 'chain40_sql'],
  targets: { chain40: { atMost: 60 } },
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const { api, keys } = await caller(stack)
      const client = openClient(1)
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const times = async (definition: object[]): Promise<number[]> => {
        const pipelineId = await savePipeline(api, definition)
        const one = async (): Promise<number> => {
          const sentMs = Date.now()
          const answer = await client.ask('POST', `${stack.url}/v1/runs`, keys[0] ?? '', { pipelineId })
          return (await endOf(owner, (JSON.parse(answer) as { id: string }).id)) - sentMs
        }
        for (let i = 0; i < warmUps; i++) await one()
        const before = await cpuMs(stack.worker?.pid())
        const ms: number[] = []
        for (let i = 0; i < chains; i++) ms.push(await one())
        say(`${Math.min(...ms)} to ${Math.max(...ms)} ms from the request sent to the run finished`)
        say(`of one run: ${inWords(used(before, await cpuMs(stack.worker?.pid())), chains)}`)
        return ms
      }
      try {
        say('steps that only think:')
        const idle = await times(idleSteps(steps))
        say('steps that each make a dataset:')
        const making = await times(makingSteps(steps))
        say(await betweenSteps(owner))
        say(
          `PostgreSQL with fsync ${await setting(stack, 'fsync')}, synchronous_commit ${await setting(stack, 'synchronous_commit')}`,
        )
        return { chain40: measured(idle, 'ms'), chain40_sql: measured(making, 'ms') }
      } finally {
        client.close()
        await owner.end()
      }
    }),
}

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
    await pause(pollMs)
  }
}

/** From the start of one step that makes a dataset to the start of the next. */
async function betweenSteps(owner: pg.Client): Promise<string> {
  const { rows } = await owner.query<{ ms: number | null }>(
    `select extract(epoch from s.started_at - lag(s.started_at) over (partition by s.run_id order by s.position))::float8 * 1000 as ms
     from steps s where s.kind = 'sql'`,
  )
  return `from one step to the next ${median(rows.flatMap(({ ms }) => (ms === null ? [] : [ms]))).toFixed(2)} ms`
}

async function setting(stack: Stack, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: stack.ownerUrl })
  await client.connect()
  const { rows } = await client.query<{ value: string }>('select current_setting($1) as value', [name])
  await client.end()
  return rows[0]?.value ?? ''
}
