import pg from 'pg'
import type { Stack } from '#local/stack.ts'
import { price } from '#src/domain/price.ts'
import { caller, idleSteps, savePipeline, withBenchStack } from './bench-stack.ts'
import { openClient } from './client.ts'
import { measured, type Benchmark } from './measure.ts'
import { cpuMs, used } from './processes.ts'
import { allSucceeded } from './shapes.ts'

const steps = 40
const runs = 25
const rounds = 5

type Counts = { neon: number; statements: number; redis: number; commands: number; messages: number }

const countsOf = ({ parts }: Stack): Counts => ({
  neon: parts.gateway?.stats.requests ?? NaN,
  statements: parts.gateway?.stats.statements ?? NaN,
  redis: parts.redis?.stats.requests ?? NaN,
  commands: parts.redis?.stats.commands ?? NaN,
  messages: parts.qstash?.stats().published ?? NaN,
})

/** What leaves the Worker for a chain of 40, the request that starts it included, counted where it arrives. */
export const roundTrips: Benchmark = {
  names: ['round_trips_per_step'],
  targets: { round_trips_per_step: { atMost: 2 } },
  run: (say) =>
    withBenchStack({}, async (stack) => {
      const { api, keys } = await caller(stack)
      const client = openClient(1)
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const pipelineId = await savePipeline(api, idleSteps(steps))
      let over = 0
      const one = async () => {
        await client.ask('POST', `${stack.url}/v1/runs`, keys[0] ?? '', { pipelineId })
        over++
        await allSucceeded(owner, pipelineId, over)
      }
      await one()
      const perStep: number[] = []
      const cpuBefore = await cpuMs(stack.worker?.pid())
      const before = countsOf(stack)
      for (let round = 0; round < rounds; round++) {
        const { neon } = countsOf(stack)
        for (let i = 0; i < runs; i++) await one()
        perStep.push((countsOf(stack).neon - neon) / (runs * steps))
      }
      const after = countsOf(stack)
      const cpu = used(cpuBefore, await cpuMs(stack.worker?.pid()))
      client.close()
      await owner.end()

      const allRuns = rounds * runs
      const all = allRuns * steps
      const each = (count: keyof Counts) => (after[count] - before[count]) / all
      say(
        `a step: ${each('neon').toFixed(3)} Neon requests of ${each('statements').toFixed(2)} statements, ${each('redis').toFixed(3)} Redis calls (at most 1: ${each('redis') <= 1 ? 'met' : 'MISSED'}) of ${each('commands').toFixed(3)} commands`,
      )
      say(`a run: ${((after.messages - before.messages) / allRuns).toFixed(2)} QStash messages`)
      say(
        `a step: CPU ms of the Worker ${(cpu.worker / all).toFixed(2)}, of PostgreSQL ${(cpu.postgres / all).toFixed(2)}`,
      )
      const million = {
        messages: each('messages') * price.message,
        Redis: each('commands') * price.command,
        Neon: (cpu.postgres / all) * price.databaseMs,
        Workers: (cpu.worker / all) * price.workerMs,
      }
      const dollars = Object.entries(million).map(([name, one]) => `${name} $${(one * 1e6).toFixed(2)}`)
      const sum = Object.values(million).reduce((total, one) => total + one, 0)
      say(
        `a million steps in chains of ${steps}: $${(sum * 1e6).toFixed(2)} (${dollars.join(', ')}); Neon as the CPU that PostgreSQL used, not as the time it was awake`,
      )
      return { round_trips_per_step: measured(perStep, 'Neon requests') }
    }),
}
