import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { runDemo } from '#local/demo.ts'
import { withBenchStack } from './bench-stack.ts'
import { copyFrom, copyTo } from './copy-csv.ts'
import { measured, type Benchmark } from './measure.ts'

const rounds = 3

/**
 * The demo's three million flights, with V8's heap capped at 128 MB. The floors are COPY of the same rows as CSV into an
 * ordinary logged table of the same server, taken after each round.
 */
export const flights: Benchmark = {
  names: ['extract_vs_copy', 'load_vs_copy', 'isolate_memory'],
  targets: {
    extract_vs_copy: { atLeast: 0.35 },
    load_vs_copy: { atLeast: 0.35 },
    isolate_memory: { atMost: 128 },
  },
  async run(say) {
    const figures = {
      extract: [] as number[],
      load: [] as number[],
      memory: [] as number[],
      extractFloor: [] as number[],
      loadFloor: [] as number[],
    }
    for (let round = 0; round < rounds; round++) {
      // A stack of its own each time: the load goes into a table that is not there yet, and the Worker has run nothing.
      await withBenchStack({ v8Flags: ['--max-old-space-size=128'] }, async (stack) => {
        const demo = await runDemo(stack, AbortSignal.timeout(600_000), () => undefined)
        if (!demo.ok)
          throw new Error(`the demo ended as ${demo.run.state}, and its numbers are not all right`)
        figures.extract.push(rate(demo.run.steps, 'read_flights'))
        figures.load.push(rate(demo.run.steps, 'load_flights'))
        figures.memory.push((demo.peakBytes - demo.idleBytes) / 1024 / 1024)
        figures.extractFloor.push(await floor(stack.ownerUrl, await tableOf(stack.ownerUrl, 'raw_flights')))
        figures.loadFloor.push(await floor(stack.warehouseUrl, 'public.flights'))
      })
      say(
        `round ${round + 1}: ${Object.entries(figures)
          .map(([name, values]) => `${name} ${Math.round(values.at(-1) ?? 0).toLocaleString('en-US')}`)
          .join(', ')}`,
      )
    }
    return {
      extract_vs_copy: measured(figures.extract, 'rows/s', figures.extractFloor),
      load_vs_copy: measured(figures.load, 'rows/s', figures.loadFloor),
      isolate_memory: measured(figures.memory, 'MB'),
    }
  },
}

type Step = { key: string; rowsOut: number; startedAt?: string; finishedAt?: string }

function rate(steps: readonly Step[], key: string): number {
  const step = steps.find((one) => one.key === key)
  if (!step?.startedAt || !step.finishedAt) throw new Error(`step ${key} did not finish`)
  return step.rowsOut / ((Date.parse(step.finishedAt) - Date.parse(step.startedAt)) / 1000)
}

async function tableOf(ownerUrl: string, dataset: string): Promise<string> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  const { rows } = await client.query<{ id: string }>(
    'select current_version_id as id from datasets where name = $1',
    [dataset],
  )
  await client.end()
  return `data."${rows[0]?.id}"`
}

/** Rows a second of COPY FROM STDIN (CSV) into a table of the same columns. */
async function floor(url: string, table: string): Promise<number> {
  const file = join(tmpdir(), `weir-floor-${crypto.randomUUID()}.csv`)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`create table copy_floor as select * from ${table} with no data`)
    await copyTo(client, `select * from ${table}`, file)
    await client.query('checkpoint').catch(() => undefined)
    const startedMs = performance.now()
    await copyFrom(client, 'copy_floor', file)
    const seconds = (performance.now() - startedMs) / 1000
    const { rows } = await client.query<{ n: string }>('select count(*) as n from copy_floor')
    await client.query('drop table copy_floor')
    return Number(rows[0]?.n) / seconds
  } finally {
    await client.end()
    await rm(file, { force: true })
  }
}
