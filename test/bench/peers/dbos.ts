import { DBOS } from '@dbos-inc/dbos-sdk'
import { startPostgres } from '#local/postgres.ts'
import { nothing, type Peer } from './peer.ts'

// Workflows run in the process that starts them, as its guide does it, with no queue between; a step is one `runStep`.
const poolSize = 20

const silent = { info: () => {}, debug: () => {}, warn: () => {}, error: console.error }

export const dbos: Peer = {
  name: 'dbos',
  settings: `startWorkflow in process (no queue), runStep per step, systemDatabasePoolSize ${poolSize}, PostgreSQL 18 with fsync`,
  async open(dir) {
    const postgres = await startPostgres({ dir })
    await postgres.createDatabase('dbos')
    const chain = DBOS.registerWorkflow(
      async (steps: number) => {
        for (let i = 0; i < steps; i++) await DBOS.runStep(nothing, { name: `s${i}` })
      },
      { name: 'chain' },
    )
    DBOS.setConfig({
      name: 'bench',
      systemDatabaseUrl: postgres.superuserUrl('dbos'),
      systemDatabasePoolSize: poolSize,
      logger: silent,
    })
    await DBOS.launch()
    const run = async (steps: number) => {
      const handle = await DBOS.startWorkflow(chain)(steps)
      await handle.getResult()
    }
    return {
      chain: run,
      async runs(count) {
        await Promise.all(Array.from({ length: count }, () => run(1)))
      },
      async close() {
        await DBOS.shutdown({ deregister: true })
        await postgres.stop()
      },
    }
  },
}
