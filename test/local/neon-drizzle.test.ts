import { neon, Pool } from '@neondatabase/serverless'
import { sql } from 'drizzle-orm'
import { drizzle as overHttp } from 'drizzle-orm/neon-http'
import { drizzle as overWebSocket } from 'drizzle-orm/neon-serverless'
import { bigint, boolean, integer, jsonb, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startNeonStack, type NeonStack } from './neon-stack.ts'

const things = pgTable('things', {
  id: integer().primaryKey(),
  name: text().notNull(),
  big: bigint({ mode: 'bigint' }),
  price: numeric(),
  data: jsonb(),
  tags: text().array(),
  isOpen: boolean('is_open'),
  madeAt: timestamp('made_at', { withTimezone: true }),
})

let stack: NeonStack
let webSockets: Pool

beforeAll(async () => {
  stack = await startNeonStack()
  webSockets = new Pool({ connectionString: stack.url, max: 2 })
  await webSockets.query(`create table things (id int primary key, name text not null, big int8, price numeric, data jsonb,
    tags text[], is_open boolean, made_at timestamptz)`)
})

afterAll(async () => {
  await webSockets.end()
  await stack.stop()
})

const thing = {
  id: 1,
  name: 'first "thing"',
  big: 9007199254740993n,
  price: '12.50',
  data: { a: [1, null] },
  tags: ['x', 'y "z"'],
  isOpen: true,
  madeAt: new Date('2026-02-03T04:05:06.789Z'),
}

describe('drizzle-orm/neon-http', () => {
  it('writes and reads every kind of column', async () => {
    const db = overHttp(neon(stack.url))
    expect(await db.insert(things).values(thing).returning()).toEqual([thing])
    expect(await db.select().from(things)).toEqual([thing])
  })

  it('sets a claim for one batch, and it is gone in the next request', async () => {
    const db = overHttp(neon(stack.url))
    const claim = db.execute(sql`select set_config('app.claim', ${'tenant.a'}, true)`)
    const current = () =>
      db.execute<{ claim: string }>(sql`select coalesce(current_setting('app.claim', true), '') as claim`)
    const [, seen, rows] = await db.batch([claim, current(), db.select({ id: things.id }).from(things)])
    expect(seen.rows).toEqual([{ claim: 'tenant.a' }])
    expect(rows).toEqual([{ id: 1 }])
    expect((await current()).rows).toEqual([{ claim: '' }])
  })

  it('undoes a batch that fails', async () => {
    const db = overHttp(neon(stack.url))
    const failed = db.batch([
      db.insert(things).values({ id: 2, name: 'second' }),
      db.insert(things).values({ id: 1, name: 'taken' }),
    ])
    await expect(failed).rejects.toMatchObject({ code: '23505' })
    expect(await db.select({ id: things.id }).from(things)).toEqual([{ id: 1 }])
  })

  it('has no interactive transactions', async () => {
    const db = overHttp(neon(stack.url))
    await expect(db.transaction(async () => 1)).rejects.toThrow('No transactions support in neon-http driver')
  })
})

describe('drizzle-orm/neon-serverless', () => {
  it('commits a transaction that looked before it wrote, and undoes one that throws', async () => {
    const db = overWebSocket(webSockets)
    await db.transaction(
      async (tx) => {
        await tx.execute(sql`select set_config('app.claim', ${'tenant.b'}, true)`)
        const found = await tx.select().from(things)
        expect(found).toEqual([thing])
        await tx.insert(things).values({ id: 10 + found.length, name: 'looked first' })
      },
      { isolationLevel: 'serializable' },
    )
    const failed = db.transaction(async (tx) => {
      await tx.insert(things).values({ id: 99, name: 'never' })
      throw new Error('changed my mind')
    })
    await expect(failed).rejects.toThrow('changed my mind')
    expect(await db.select({ id: things.id }).from(things).orderBy(things.id)).toEqual([
      { id: 1 },
      { id: 11 },
    ])
    const after = await db.execute<{ claim: string }>(
      sql`select coalesce(current_setting('app.claim', true), '') as claim`,
    )
    expect(after.rows).toEqual([{ claim: '' }])
  })
})
