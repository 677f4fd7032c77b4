import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { OwnDatabase } from '#test/support/own-database.ts'
import { quotaDatabase, race } from '#test/support/quota-race.ts'

let database: OwnDatabase
beforeAll(async () => {
  database = await quotaDatabase()
})
afterAll(() => database.leave())

describe('starts of every kind at once', () => {
  it.each(Array.from({ length: 20 }, (_, n) => n + 1_000))(
    'begin exactly as many runs as are left (seed %i)',
    async (seed) => {
      const { wanted, left, begun, counted } = await race(database, seed, 5)
      expect(left).toBeLessThan(wanted)
      expect([begun, counted]).toEqual([left, left])
    },
  )
})
