import { NeonDbError, type NeonQueryFunction } from '@neondatabase/serverless'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { http, startNeonStack, type NeonStack } from './neon-stack.ts'

let stack: NeonStack
let sql: NeonQueryFunction<false, false>

beforeAll(async () => {
  stack = await startNeonStack()
  sql = http(stack)
  await sql`create table entries (id int primary key, n int, unique (n) deferrable initially deferred)`
})

afterAll(() => stack.stop())

describe('a batch over HTTP', () => {
  it('answers every query in order, given as array or function, empty ones too', async () => {
    const results = await sql.transaction([sql`select ${1}::int as a`, sql`select ${'hello'} as b`])
    expect(results).toEqual([[{ a: 1 }], [{ b: 'hello' }]])
    expect(await sql.transaction((tx) => [tx`select 2 as a`, tx`select 3 as a`])).toEqual([
      [{ a: 2 }],
      [{ a: 3 }],
    ])
    expect(await sql.transaction([])).toEqual([])
    expect(await sql.transaction(() => [])).toEqual([])
  })

  it('runs 50 statements in one transaction', async () => {
    const results = await sql.transaction(
      Array.from(
        { length: 50 },
        (_, index) => sql`select ${index}::int as index, pg_current_xact_id()::text as transaction`,
      ),
    )
    expect(results.map(([row]) => row?.index)).toEqual(Array.from({ length: 50 }, (_, index) => index))
    expect(new Set(results.map(([row]) => row?.transaction)).size).toBe(1)
  })

  it('lets later statements use what earlier ones made', async () => {
    const [, , rows] = await sql.transaction([
      sql`create table made (a int)`,
      sql`insert into made values (${1}), (${2})`,
      sql`select sum(a)::int as sum from made`,
    ])
    expect(rows).toEqual([{ sum: 3 }])
  })

  it('undoes all of it at the first error, and the connection serves on', async () => {
    for (let time = 0; time < 5; time++) {
      const failed = sql.transaction([
        sql`insert into entries values (${1}, 1)`,
        sql`select ${time} / 0`,
        sql`insert into entries values (2, 2)`,
      ])
      await expect(failed).rejects.toMatchObject({ code: '22012', severity: 'ERROR' })
    }
    expect(await sql`select * from entries`).toEqual([])
  })

  it('reports what only the commit finds', async () => {
    const failed = sql.transaction([
      sql`insert into entries values (10, 7)`,
      sql`insert into entries values (11, 7)`,
    ])
    await expect(failed).rejects.toMatchObject({ code: '23505', constraint: 'entries_n_key' })
    expect(await sql`select * from entries`).toEqual([])
  })

  it('takes isolation level, read only and deferrable, and says so in the reply', async () => {
    const settings = async (options: object) => {
      const show = sql`select current_setting('transaction_isolation') as level,
        current_setting('transaction_read_only') as read_only, current_setting('transaction_deferrable') as deferrable`
      const [rows] = await sql.transaction([show], options)
      return rows?.[0]
    }
    expect(await settings({})).toEqual({ level: 'read committed', read_only: 'off', deferrable: 'off' })
    expect(await settings({ isolationLevel: 'RepeatableRead' })).toMatchObject({ level: 'repeatable read' })
    expect(await settings({ isolationLevel: 'ReadUncommitted' })).toMatchObject({ level: 'read uncommitted' })
    expect(await settings({ isolationLevel: 'ReadCommitted', readOnly: true })).toMatchObject({
      read_only: 'on',
    })
    expect(await settings({ isolationLevel: 'Serializable', readOnly: true, deferrable: true })).toEqual({
      level: 'serializable',
      read_only: 'on',
      deferrable: 'on',
    })
    const written = sql.transaction([sql`insert into entries values (1, 1)`], { readOnly: true })
    await expect(written).rejects.toMatchObject({ code: '25006' })
  })

  it('lets one of two serializable batches that cross fail with 40001', async () => {
    await sql`create table balances (who text primary key, amount int)`
    await sql`insert into balances values ('a', 1), ('b', 1)`
    const spend = (who: string) =>
      sql.transaction(
        [
          sql`select sum(amount) from balances`,
          sql`select pg_sleep(0.2)`,
          sql`update balances set amount = 0 where who = ${who}`,
        ],
        { isolationLevel: 'Serializable' },
      )
    const outcomes = await Promise.allSettled([spend('a'), spend('b')])
    const failures = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))
    expect(failures).toHaveLength(1)
    expect(failures[0]).toBeInstanceOf(NeonDbError)
    expect(failures[0]).toMatchObject({ code: '40001' })
  })

  it('takes array mode and full results for the whole batch and for one query', async () => {
    const [a] = await sql.transaction((tx) => [tx`select 1 as a`], { arrayMode: true })
    expect(a).toEqual([[1]])
    const [full] = await sql.transaction((tx) => [tx`select 1 as a`], { fullResults: true })
    expect(full).toMatchObject({ rowCount: 1, command: 'SELECT', rows: [{ a: 1 }] })
    // The driver's types do not know that a query of a batch may have options of its own.
    const onlyThisAsArray = sql.query('select 2 as b', [], { arrayMode: true } as unknown as {
      arrayMode: false
    })
    const [objects, arrays] = await sql.transaction([sql`select 1 as a`, onlyThisAsArray])
    expect([objects, arrays]).toEqual([[{ a: 1 }], [[2]]])
  })

  it('starts over when the table under a known statement has changed, and does nothing twice', async () => {
    await sql`create table shape (a int)`
    await sql`create table log (a int)`
    const write = () =>
      sql.transaction([sql`insert into log values (${1})`, sql`select * from shape where a > ${0}`])
    for (let time = 0; time < 4; time++) await write()
    await sql`alter table shape add b text`
    for (let time = 0; time < 4; time++) await write()
    expect(await sql`select count(*)::int as n from log`).toEqual([{ n: 8 }])
  })
})
