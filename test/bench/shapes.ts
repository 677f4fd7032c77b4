import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Stack } from '#local/stack.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { inParallel, openClient } from './client.ts'
import { measured, median, type Benchmark, type Measure } from './measure.ts'
import { cpuMs, inWords, used } from './processes.ts'

const rounds = 3
const atOnce = 32
const pollMs = 5

export type Shape = { name: string; runs: number; steps: object[]; description: string }

const idle = (id: string, after: readonly string[] = []): object => ({ id, wait: { for: '0s' }, after })

/** One step, so many that need only it, and one that needs them all. */
function fanOut(width: number): object[] {
  const middle = Array.from({ length: width }, (_, i) => `m${i}`)
  return [idle('first'), ...middle.map((id) => idle(id, ['first'])), idle('last', middle)]
}

/** So many steps, each but the first under the one whose number is a tenth of its own. */
const tree = (steps: number, children: number): object[] =>
  Array.from({ length: steps }, (_, i) =>
    idle(`t${i}`, i === 0 ? [] : [`t${Math.floor((i - 1) / children)}`]),
  )

export const wide: Shape = {
  name: 'fanout1000',
  runs: 1,
  steps: fanOut(1_000),
  description: 'one run of 1, then 1,000, then 1',
}

export const shapes: readonly Shape[] = [
  { name: 'shape_100x10', runs: 100, steps: idleSteps(10), description: '100 runs of a chain of 10' },
  { name: 'shape_10x100', runs: 10, steps: idleSteps(100), description: '10 runs of a chain of 100' },
  { name: 'shape_tree', runs: 1, steps: tree(1_110, 10), description: 'one run of a tree of 1,110' },
]

export const fanout: Benchmark = {
  names: [wide.name],
  targets: { [wide.name]: { atMost: 2 } },
  isLong: true,
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const { measure } = await take(stack, wide, say)
      return { [wide.name]: measure }
    }),
}

/**
 * About the same amount of steps in different shapes. What only thinks costs next to nothing here, so that it is the starts
 * that are seen; what a step costs in each shape is told by the same with one step a delivery, see hops.ts.
 */
export const shapesOfRuns: Benchmark = {
  names: shapes.map(({ name }) => name),
  targets: {},
  isLong: true,
  run: (say) => withBenchStack({}, (stack) => takeAll(stack, shapes, say)),
}

/** Takes each shape and says how far apart they are; `suffix` tells the measures from those of another way. */
export async function takeAll(
  stack: Stack,
  all: readonly Shape[],
  say: (line: string) => void,
  suffix = '',
): Promise<Record<string, Measure>> {
  const measures: Record<string, Measure> = {}
  const perStep: number[] = []
  for (const shape of all) {
    const { measure, stepMs } = await take(stack, shape, say)
    measures[`${shape.name}${suffix}`] = measure
    perStep.push(stepMs)
  }
  say(`slowest to fastest, per step: ${(Math.max(...perStep) / Math.min(...perStep)).toFixed(2)}`)
  return measures
}

async function take(
  stack: Stack,
  shape: Shape,
  say: (line: string) => void,
): Promise<{ measure: Measure; stepMs: number }> {
  const before = { cpu: await cpuMs(stack.worker?.pid()), messages: messagesOf(stack), neon: neonOf(stack) }
  const seconds = await timesOf(stack, shape)
  const count = shape.runs * shape.steps.length
  const stepMs = (median(seconds) / count) * 1_000
  const all = seconds.map((each) => each.toFixed(2)).join(', ')
  say(`${shape.description}: ${count} steps, ${all} s, ${stepMs.toFixed(2)} ms a step`)
  const steps = count * (rounds + 1)
  say(
    `  a step: ${((messagesOf(stack) - before.messages) / steps).toFixed(2)} QStash messages, ${((neonOf(stack) - before.neon) / steps).toFixed(2)} Neon requests, ${inWords(used(before.cpu, await cpuMs(stack.worker?.pid())), steps)}`,
  )
  return { measure: measured(seconds, 's'), stepMs }
}

const messagesOf = ({ parts }: Stack): number => parts.qstash?.stats().published ?? NaN
const neonOf = ({ parts }: Stack): number => parts.gateway?.stats.requests ?? NaN

async function timesOf(stack: Stack, shape: Shape): Promise<number[]> {
  const { api, keys } = await caller(stack)
  const pipelineId = await savePipeline(api, shape.steps)
  const client = openClient(atOnce)
  const owner = new pg.Client({ connectionString: stack.ownerUrl })
  await owner.connect()
  const seconds: number[] = []
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const sentMs = Date.now()
    await inParallel(shape.runs, atOnce, () =>
      client.ask('POST', `${stack.url}/v1/runs`, keys[0] ?? '', { pipelineId }),
    )
    const finishedMs = await allSucceeded(owner, pipelineId, shape.runs * (round + 1))
    if (round > 0) seconds.push((finishedMs - sentMs) / 1_000)
  }
  client.close()
  await owner.end()
  return seconds
}

/** When the end of the last of a pipeline's runs can be seen: its rows say when it came to it, which is before they are written. */
export async function allSucceeded(owner: pg.Client, pipelineId: string, expected: number): Promise<number> {
  for (;;) {
    const { rows } = await owner.query<{ state: string; over: number }>(
      `select state, count(finished_at)::int as over from runs where pipeline_id = $1
       group by state`,
      [pipelineId],
    )
    const bad = rows.find(({ state }) => state === 'failed' || state === 'cancelled')
    if (bad) throw new Error(`${bad.over} runs ended as ${bad.state}`)
    const done = rows.find(({ state }) => state === 'succeeded')
    if (done?.over === expected) return Date.now()
    await pause(pollMs)
  }
}
