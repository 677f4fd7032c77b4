import type { NeonQueryFunction } from '@neondatabase/serverless'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { http, startNeonStack, type NeonStack } from './neon-stack.ts'

let stack: NeonStack
let sql: NeonQueryFunction<false, false>

beforeAll(async () => {
  stack = await startNeonStack()
  sql = http(stack)
  await sql`create role plain_user`
  await sql`create sequence numbers`
  await sql`create function hidden() returns int language plpgsql as $$
    begin
      perform set_config('app.hidden', 'leaked', false);
      perform pg_advisory_lock(42);
      create temp table hidden_table (a int);
      execute 'listen hidden_channel';
      return 1;
    end $$`
})

afterAll(() => stack.stop())

/** Everything a session can carry over, in one query on the one connection that requests in sequence share. */
const state =
  () => sql`select pg_backend_pid() as pid, current_user::text as who, session_user::text as login,
    coalesce(current_setting('app.hidden', true), '') as hidden, coalesce(current_setting('app.plain', true), '') as plain,
    current_setting('statement_timeout') as timeout, current_setting('TimeZone') as zone, current_setting('search_path') as path,
    (select count(*)::int from pg_locks where locktype = 'advisory') as locks,
    (select count(*)::int from pg_class where relpersistence = 't') as temporary,
    (select count(*)::int from pg_listening_channels()) as channels,
    (select count(*)::int from pg_cursors where is_holdable) as cursors,
    (select count(*)::int from pg_prepared_statements where from_sql) as prepared`

describe('what a request leaves behind', () => {
  it.each([
    ['set', [`set app.plain = 'leaked'`]],
    ['set of a setting the server reports', [`set timezone = 'Europe/Berlin'`]],
    ['set_config for the session', [`select set_config('app.plain', 'leaked', false)`]],
    ['statement_timeout and search_path', [`set statement_timeout = '77s'`, 'set search_path = pg_catalog']],
    ['set role', ['set role plain_user']],
    ['set session authorization', ['set session authorization plain_user']],
    ['temporary tables', ['create temp table leaked (a int)']],
    ['select into a temporary table', ['select 1 as a into temp leaked']],
    ['advisory locks', ['select pg_advisory_lock(1)', 'select pg_try_advisory_lock(2)']],
    ['listen', ['listen leaked']],
    ['prepared statements', ['prepare leaked as select 1']],
    ['cursors with hold', ['declare leaked cursor with hold for select 1']],
    ['what a function hides', ['select hidden()']],
    ['what a block hides', [`do $$ begin perform hidden(); execute 'prepare leaked as select 1'; end $$`]],
  ])('is gone in the next one: %s', async (_name, statements) => {
    const before = await state()
    await sql.transaction(statements.map((each) => sql.query(each)))
    expect(await state()).toEqual(before)
    if (statements.length > 1 || statements[0]?.startsWith('declare')) return
    await sql.query(statements[0] ?? '')
    expect(await state()).toEqual(before)
  })

  it('is gone also when the batch fails behind it', async () => {
    const before = await state()
    const failed = sql.transaction([
      sql`select pg_advisory_lock(7)`,
      sql`set app.plain = 'leaked'`,
      sql`select 1 / 0`,
    ])
    await expect(failed).rejects.toThrow('division by zero')
    expect(await state()).toEqual(before)
  })

  it('is gone also when a single request leaves a transaction open', async () => {
    const before = await state()
    await sql`begin`
    expect(await state()).toEqual(before)
    const [row] = await sql`select pg_current_xact_id_if_assigned() as id`
    expect(row).toEqual({ id: null })
  })

  it('ends with the transaction when it was set for the transaction', async () => {
    const [, seen] = await sql.transaction(
      [
        sql`select set_config('app.plain', ${'mine'}, true)`,
        sql`select current_setting('app.plain', true) as plain`,
      ],
      { isolationLevel: 'RepeatableRead', readOnly: true },
    )
    expect(seen).toEqual([{ plain: 'mine' }])
    expect(await sql`select coalesce(current_setting('app.plain', true), '') as plain`).toEqual([
      { plain: '' },
    ])
  })

  it('does not mix settings of 200 batches at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        sql.transaction([
          sql`select set_config('app.plain', ${String(index)}, true)`,
          sql`select current_setting('app.plain') as plain`,
        ]),
      ),
    )
    expect(answers.map(([, rows]) => rows?.[0]?.plain)).toEqual(answers.map((_, index) => String(index)))
  })

  it('does not let currval see what another request drew', async () => {
    await sql`select nextval('numbers')`
    await expect(sql`select currval('numbers')`).rejects.toMatchObject({ code: '55000' })
  })
})
