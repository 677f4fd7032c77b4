import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { DatabaseFailure, type BulkSession } from '#src/db/bulk-session.ts'
import { client } from '#test/support/own-stack.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let owner: pg.Client
let session: BulkSession

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = await client(inject('ownerUrl'))
})
afterAll(async () => {
  await owner.end()
  await here.close()
})
beforeEach(async () => {
  session = await here.services.database.tenant(acme.id, 'job').bulk()
  onTestFinished(() => session.close())
})

const mark = `/* ${crypto.randomUUID()} */`
const run = (text: string) => session.transact([{ text, params: [] }])
const codeOf = async (work: Promise<unknown>) => {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  return failure instanceof DatabaseFailure ? failure.code : failure
}
const terminate = () =>
  owner.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where position($1 in query) > 0 and pid <> pg_backend_pid()`,
    [mark],
  )

describe('a session for moving rows', () => {
  it('says what the server refused, and is good for the next transaction', async () => {
    expect(await codeOf(run('select 1 / 0'))).toBe('22012')
    expect(await run('select generate_series(1, 3)')).toEqual([3])
    const rows: Uint8Array[] = []
    const copy = async () => {
      for await (const piece of session.copyOut('select 1 / (3 - n) from generate_series(1, 5) n'))
        rows.push(piece.slice())
    }
    expect(await codeOf(copy())).toBe('22012')
    expect(await run('select 1')).toEqual([1])
  })

  it('fails what is under way and what comes later when its connection is gone, and closes', async () => {
    const slow = codeOf(run(`select ${mark} pg_sleep(30)`))
    await expect.poll(async () => (await terminate()).rowCount).toBeGreaterThan(0)
    expect(await slow).toMatch(/^(57P01|08006)$/)
    await expect.poll(() => codeOf(run('select 1'))).toBe('08006')
    await session.close()
    await session.close()
  })
})
