import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { deliverJob } from '#test/support/qstash.ts'
import { caller, idleSteps, withBenchStack } from './bench-stack.ts'
import { inParallel } from './client.ts'
import { measured, type Benchmark } from './measure.ts'

const tenants = 10
const each = 100
const rounds = 5
const aheadMs = 4_000
const pollMs = 200
/** Long after the last one should have fired; what is not there by then is missed. */
const mostMs = 20_000
/** For a second firing to show itself. */
const settleMs = 3_000

type Round = { fired: number; runs: number; p50: number; p99: number; max: number }

/** A thousand schedules of ten tenants due at the same second: how much later than that second their runs are there. */
export const scheduleJitter: Benchmark = {
  names: ['schedule_jitter'],
  targets: { schedule_jitter: { atMost: 1_000 } },
  isLong: true,
  run: (say) =>
    withBenchStack({}, async (stack) => {
      for (let t = 0; t < tenants; t++) {
        const { api } = await caller(stack)
        await inParallel(each, 4, (n) =>
          api.post('/v1/pipelines', {
            apiVersion: 'weir/v1',
            kind: 'Pipeline',
            name: `bench-${n}`,
            triggers: [{ cron: '0 0 1 1 *' }],
            steps: idleSteps(1),
          }),
        )
      }
      const owner = new pg.Client({ connectionString: stack.ownerUrl })
      await owner.connect()
      const found: Round[] = []
      for (let i = 0; i <= rounds; i++) {
        const due = new Date(Math.ceil((Date.now() + aheadMs) / 1_000) * 1_000)
        await owner.query('update schedules set next_fire_at = $1, delay_ms = 0, announced_at = null', [due])
        await Promise.all([1, 2].map(() => deliverJob(stack.env, stack.url, 'tick')))
        const round = await settled(owner, due)
        // The first round warms up.
        if (i === 0) continue
        found.push(round)
        const { fired, runs, p50, p99, max } = round
        say(
          `late by p50 ${p50.toFixed(0)}, p99 ${p99.toFixed(0)}, at most ${max.toFixed(0)} ms; missed ${tenants * each - fired}, doubled ${runs - fired}`,
        )
      }
      await owner.end()
      const wrong = found.filter(({ fired, runs }) => fired !== tenants * each || runs !== fired)
      say(
        `${rounds} rounds of ${tenants * each} schedules, ${wrong.length} of them with one missed or doubled (none is aimed at: ${wrong.length === 0 ? 'met' : 'MISSED'})`,
      )
      return {
        schedule_jitter: measured(
          found.map(({ p99 }) => p99),
          'ms',
        ),
      }
    }),
}

async function settled(owner: pg.Client, due: Date): Promise<Round> {
  const until = due.getTime() + mostMs
  while (Date.now() < until && (await take(owner, due)).fired < tenants * each) await pause(pollMs)
  await pause(settleMs)
  return take(owner, due)
}

/** By the first event of each run, which is written with it: the moment by the clock, not when its transaction began. */
async function take(owner: pg.Client, due: Date): Promise<Round> {
  const { rows } = await owner.query<Round>(
    `select count(distinct pipeline_id)::int as fired, count(*)::int as runs,
       coalesce(percentile_cont(0.5) within group (order by late), 0) as p50,
       coalesce(percentile_cont(0.99) within group (order by late), 0) as p99,
       coalesce(max(late), 0)::float8 as max
     from (select r.pipeline_id, extract(epoch from e.at - r.scheduled_for)::float8 * 1000 as late
       from runs r join run_events e on e.tenant_id = r.tenant_id and e.run_id = r.id and e.seq = 1
       where r.scheduled_for = $1) r`,
    [due],
  )
  const [round] = rows
  if (!round) throw new Error('an aggregate always has a row')
  return round
}
