import { Logger, run } from 'graphile-worker'
import pg from 'pg'
import { startPostgres } from '#local/postgres.ts'
import { countdown, type Peer } from './peer.ts'

// It has no workflows: a step adds the job of the next one. From its guide to performance, as far as latency allows:
// many workers, a local queue, completions gathered for no longer than one turn of the event loop.
const concurrency = 24

export const graphileWorker: Peer = {
  name: 'graphile_worker',
  settings: `one job a step, each adds the next; ${concurrency} workers, localQueue.size ${concurrency + 1}, completeJobBatchDelay 0, LISTEN/NOTIFY, PostgreSQL 18 with fsync`,
  async open(dir) {
    const postgres = await startPostgres({ dir })
    await postgres.createDatabase('graphile')
    let tick = () => {}
    const owner = new pg.Client({ connectionString: postgres.superuserUrl('graphile') })
    await owner.connect()
    const runner = await run({
      connectionString: postgres.superuserUrl('graphile'),
      maxPoolSize: concurrency + 2,
      noHandleSignals: true,
      logger: new Logger(() => () => undefined),
      preset: {
        worker: {
          concurrentJobs: concurrency,
          localQueue: { size: concurrency + 1 },
          completeJobBatchDelay: 0,
        },
      },
      taskList: {
        single: () => {},
        async step(payload, { addJob }) {
          const { left } = payload as { left: number }
          if (left > 1) await addJob('step', { left: left - 1 })
        },
      },
    })
    runner.events.on('job:complete', () => tick())
    /** It tells of a completion before it is written; a job that is completed is deleted. */
    const allCompleted = async () => {
      for (;;) {
        const { rows } = await owner.query('select 1 from graphile_worker.jobs limit 1')
        if (rows.length === 0) return
      }
    }
    return {
      async chain(steps) {
        const finished = countdown(steps)
        tick = finished.tick
        await runner.addJob('step', { left: steps })
        await finished.done
        await allCompleted()
      },
      async runs(count) {
        const finished = countdown(count)
        tick = finished.tick
        await Promise.all(Array.from({ length: count }, (_, n) => runner.addJob('single', { n })))
        await finished.done
        await allCompleted()
      },
      async close() {
        await runner.stop()
        // It does not wait for its connections to close, and one that the server ends is an error that nobody handles.
        for (;;) {
          const { rows } = await owner.query(
            `select 1 from pg_stat_activity where datname = 'graphile' and pid <> pg_backend_pid() limit 1`,
          )
          if (rows.length === 0) break
        }
        await owner.end()
        await postgres.stop()
      },
    }
  },
}
