import { PgBoss } from 'pg-boss'
import { startPostgres } from '#local/postgres.ts'
import { countdown, type Peer } from './peer.ts'

// A step sends the job of the next one: its flows are unblocked by an interval of seconds. Workers are woken by
// LISTEN/NOTIFY; a thousand jobs are taken by full batches, the unordered fetch being the one it recommends for speed.
const workers = 4
const batchSize = 100

export const pgBoss: Peer = {
  name: 'pg_boss',
  settings: `one job a step, each sends the next; useListenNotify, ${workers} workers, for runs1000 batchSize ${batchSize} with burstWhenBatchFull and orderByCreatedOn off, pool of 20, PostgreSQL 18 with fsync`,
  async open(dir) {
    const postgres = await startPostgres({ dir })
    await postgres.createDatabase('boss')
    const boss = new PgBoss({
      connectionString: postgres.superuserUrl('boss'),
      max: 20,
      useListenNotify: true,
      schedule: false,
    })
    let isOver = false
    boss.on('error', (error) => {
      // Once it is stopped, PostgreSQL may end connections that are still closing.
      if (!isOver) console.error(error)
    })
    await boss.start()
    for (const name of ['chain', 'single']) await boss.createQueue(name, { notify: true })
    let left = countdown(0)
    await boss.work<{ left: number }>(
      'chain',
      { localConcurrency: workers, priority: false },
      async ([job]) => {
        if (job && job.data.left > 1) await boss.send('chain', { left: job.data.left - 1 })
        left.tick()
      },
    )
    await boss.work(
      'single',
      {
        localConcurrency: workers,
        batchSize,
        burstWhenBatchFull: true,
        priority: false,
        orderByCreatedOn: false,
      },
      (jobs) => {
        for (const _ of jobs) left.tick()
        return Promise.resolve()
      },
    )
    /** The handlers are through before their jobs are completed. */
    const allCompleted = async (name: string) => {
      for (;;) {
        const { rows } = await boss
          .getDb()
          .executeSql(`select 1 from pgboss.job where name = $1 and state < 'completed' limit 1`, [name])
        if (rows.length === 0) return
      }
    }
    return {
      async chain(steps) {
        left = countdown(steps)
        await boss.send('chain', { left: steps })
        await left.done
        await allCompleted('chain')
      },
      async runs(count) {
        left = countdown(count)
        await Promise.all(Array.from({ length: count }, (_, n) => boss.send('single', { n })))
        await left.done
        await allCompleted('single')
      },
      async close() {
        await boss.stop({ graceful: false })
        isOver = true
        await postgres.stop()
      },
    }
  },
}
