import pg from 'pg'
import type { Api, RunJson } from '#local/demo/api.ts'
import { followRun } from '#local/demo/follow.ts'
import { prepare } from '#local/demo/prepare.ts'
import type { Stack } from '#local/stack.ts'
import { savePipeline, withBenchStack } from './bench-stack.ts'
import { copyRate } from './copy-csv.ts'
import { measured, median, type Benchmark } from './measure.ts'
import { cpuMs, inWords, used } from './processes.ts'

const rounds = 3

/**
 * Three million flights from a file into a dataset, and from there into the warehouse, one step a run with nothing beside
 * it, V8's heap capped at 128 MB. Each is followed by its floor: COPY of the same rows as CSV into an ordinary logged table
 * of the same columns in the same database.
 */
export const flights: Benchmark = {
  names: ['extract_vs_copy', 'load_vs_copy'],
  targets: { extract_vs_copy: { atLeast: 0.35 }, load_vs_copy: { atLeast: 0.35 } },
  async run(say) {
    const extracts: number[] = []
    const loads: number[] = []
    const extractFloors: number[] = []
    const loadFloors: number[] = []
    for (let round = 1; round <= rounds; round++) {
      // A stack of its own each time: nobody has read, planned or written anything yet.
      await withBenchStack({ v8Flags: ['--max-old-space-size=128'] }, async (stack) => {
        const { api } = await prepare(stack, () => undefined)
        const step = oneStepRuns(stack, api, (line) => say(`round ${round}: ${line}`))

        const extract = { connection: 'uploads', stream: 'flights-3m.parquet' }
        extracts.push(await step('extract', { extract, into: 'raw' }))
        const dataset = await versionTable(stack.ownerUrl, 'raw')
        extractFloors.push(await copyRate(stack.ownerUrl, dataset))

        const load = { from: 'raw', connection: 'warehouse', table: 'public.bench', mode: 'overwrite' }
        loads.push(await step('load', { load }))
        loadFloors.push(await copyRate(stack.parts.postgres.superuserUrl('warehouse'), 'public.bench'))
        await step('load, overwrite a table that exists', { load })
      })
      const ratio = (rates: readonly number[], floors: readonly number[]) =>
        ((rates.at(-1) ?? NaN) / (floors.at(-1) ?? NaN)).toFixed(2)
      say(`round ${round}: ${ratio(extracts, extractFloors)} and ${ratio(loads, loadFloors)} × COPY`)
    }
    say(
      `COPY: ${rowsASecond(median(extractFloors))} beside the datasets, ${rowsASecond(median(loadFloors))} in the warehouse`,
    )
    return {
      extract_vs_copy: measured(extracts, 'rows/s', extractFloors),
      load_vs_copy: measured(loads, 'rows/s', loadFloors),
    }
  },
}

/** Runs a pipeline of one step, says what it used, and gives its rows a second. */
function oneStepRuns(stack: Stack, api: Api, say: (line: string) => void) {
  return async (name: string, step: object): Promise<number> => {
    const pipelineId = await savePipeline(api, [{ id: 'only', ...step }])
    await checkpoint(stack)
    const before = await cpuMs(stack.worker?.pid())
    const { id } = await api.post<{ id: string }>('/v1/runs', { pipelineId })
    const run = await followRun(api, id, () => undefined, AbortSignal.timeout(600_000))
    const spent = used(before, await cpuMs(stack.worker?.pid()))
    const rate = rateOf(run)
    say(`${name}: ${rowsASecond(rate)}; ${inWords(spent)}`)
    return rate
  }
}

function rateOf({ state, steps: [step] }: RunJson): number {
  if (!step?.startedAt || !step.finishedAt || state !== 'succeeded') {
    throw new Error(`the run ended as ${state}: ${step?.error?.message ?? 'no reason given'}`)
  }
  return step.rowsOut / ((Date.parse(step.finishedAt) - Date.parse(step.startedAt)) / 1000)
}

/** What came before is on disk, so that its writing falls into nobody's time. */
async function checkpoint(stack: Stack): Promise<void> {
  await withClient(stack.ownerUrl, (client) => client.query('checkpoint'))
}

async function versionTable(ownerUrl: string, dataset: string): Promise<string> {
  const { rows } = await withClient(ownerUrl, (client) =>
    client.query<{ id: string }>('select current_version_id as id from datasets where name = $1', [dataset]),
  )
  return `data."${rows[0]?.id}"`
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

const rowsASecond = (rate: number): string => `${Math.round(rate).toLocaleString('en-US')} rows/s`
