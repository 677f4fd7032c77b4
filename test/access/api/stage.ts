import type pg from 'pg'
import { inject } from 'vitest'
import { ownDatabase } from '#test/support/own-database.ts'
import { world, type World } from '#test/support/world.ts'

/** The app on a database of its own, where no tick goes on with what is looked at and nobody is told to wait. */
export type Stage = { here: World; db: pg.Client; end(): Promise<void> }

export async function accessStage(): Promise<Stage> {
  const database = await ownDatabase()
  const many = { limit: 1_000_000 }
  const here = await world(
    (services) => {
      const { user, apiKey, address } = services.limits
      const limits = {
        ...services.limits,
        user: { ...user, ...many },
        apiKey: { ...apiKey, ...many },
        address: { ...address, ...many },
      }
      return { ...services, limits }
    },
    { ...inject('env'), DATABASE_URL: database.url },
  )
  return {
    here,
    db: database.owner,
    async end() {
      await here.close()
      await database.leave()
    },
  }
}
