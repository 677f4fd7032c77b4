import { describe, expect, it } from 'vitest'

import { StepFailure } from '#src/domain/failure.ts'
import { dropStage, openLoad, type Load } from '#src/connectors/postgres/load.ts'
import type { LoadSpec } from '#src/connectors/postgres/plan.ts'
import { PostgresSession } from '#src/connectors/postgres/session.ts'
import { emptyWarehouse, spec as anySpec } from './loads.ts'
import { chunk, chunkOf, tuples } from './tuples.ts'
import { here, password } from './warehouse.ts'

const warehouse = await emptyWarehouse()
const modes = ['append', 'overwrite', 'upsert'] as const
const spec = (mode: LoadSpec['mode'] = 'append'): LoadSpec => anySpec({ table: 'target', mode, key: ['id'] })
const open = (of: LoadSpec, signal?: AbortSignal): Promise<Load> =>
  openLoad(warehouse.connection, of, { ...here, ...(signal ? { signal } : {}) })
const sql = (text: string) => warehouse.sql(`set role weir; ${text}`)

const size = 2000
const chunks = 6

/** What the engine does: goes on from the position until all chunks are staged, then finishes. */
async function run(
  of: LoadSpec,
  hooks: { piece?: (chunk: number) => Promise<void> | void } = {},
): Promise<void> {
  const load = await open(of)
  try {
    for (;;) {
      const position = load.position()
      if (position === 'finished' || position.chunk >= chunks) break
      await load.copyChunk(position.chunk, interrupted(position.chunk, hooks.piece))
    }
    await load.finish()
  } finally {
    await load.close()
  }
}

async function* interrupted(number: number, piece?: (chunk: number) => Promise<void> | void) {
  for await (const bytes of chunk(number, size)) {
    yield bytes
    await piece?.(number)
  }
}

const found = () =>
  sql('select count(*)::int as n, count(distinct id)::int as ids, max(id)::int as last from target')
/** Every id exactly once. */
const exact = [{ n: chunks * size, ids: chunks * size, last: chunks * size - 1 }]

const cutAll = () =>
  warehouse.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'weir'`)

const inserting = async () => {
  const [row] = await warehouse.sql(
    `select exists (select 1 from pg_stat_activity where usename = 'weir' and wait_event = 'PgSleep') as yes`,
  )
  return row?.['yes']
}

describe.each(modes)('a load (%s)', (mode) => {
  it('that repeats a chunk has it once', async () => {
    const load = await open(spec(mode))
    await load.copyChunk(0, chunk(0, size))
    await load.copyChunk(0, chunk(0, size))
    expect(load.position()).toEqual({ chunk: 1, rows: size })
    await load.copyChunk(2, chunk(2, size))
    expect(load.position()).toEqual({ chunk: 1, rows: size })
    expect(await load.finish()).toMatchObject({ rows: size })
    await load.close()
  })

  it('raced by three attempts has every row once', async () => {
    const of = spec(mode)
    await Promise.all([run(of), run(of), run(of)])
    expect(await found()).toEqual(exact)
  })

  it('cut in the middle of every chunk, again and again, has every row once', async () => {
    const of = spec(mode)
    const cut = new Set<number>()
    for (let attempt = 0; attempt <= chunks; attempt++) {
      const last = attempt === chunks
      const ran = run(of, {
        async piece(number) {
          if (last || cut.has(number)) return
          cut.add(number)
          await cutAll()
        },
      })
      const outcome = await ran.then(
        () => 'finished',
        (cause: unknown) => cause instanceof StepFailure && cause.retryable && 'to be tried again',
      )
      expect(outcome).toBe(last ? 'finished' : 'to be tried again')
    }
    expect(cut.size).toBe(chunks)
    expect(await found()).toEqual(exact)
  })

  it('cut while it finishes has every row once', async () => {
    await sql(`create table target (id int8 primary key, label text);
      create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return null; end';
      create trigger slow after insert on target execute function slow()`)
    const of = spec(mode)
    const staging = await open(of)
    for (let number = 0; number < chunks; number++) await staging.copyChunk(number, chunk(number, size))
    const finishing = staging.finish()
    finishing.catch(() => undefined)
    await expect.poll(inserting, { interval: 5 }).toBe(true)
    await cutAll()
    await expect(finishing).rejects.toMatchObject({ name: 'StepFailure', retryable: true })
    await staging.close()
    expect(await found()).toEqual([{ n: 0, ids: 0, last: null }])
    await run(of)
    expect(await found()).toEqual(exact)
  })

  it('cut at any moment of making its table has every row once', async () => {
    const of = spec(mode)
    const staging = await open(of)
    for (let number = 0; number < chunks; number++) await staging.copyChunk(number, chunk(number, size))
    await staging.close()
    for (let delayMs = 0; delayMs < 8; delayMs++) {
      const stop = new AbortController()
      const load = await open(of, stop.signal)
      setTimeout(() => stop.abort(), delayMs)
      await load.finish().catch(() => undefined)
      await load.close()
    }
    await run(of)
    expect(await found()).toEqual(exact)
  })

  it('whose destination crashes in the middle has every row once, also what was not logged', async () => {
    if (mode !== 'upsert') await sql('create table target (id int8, label text)')
    const of = spec(mode)
    let crashed = false
    const ran = run(of, {
      async piece(number) {
        if (crashed || number !== 3) return
        crashed = true
        await warehouse.crash()
      },
    })
    await expect(ran).rejects.toMatchObject({ name: 'StepFailure', retryable: true })
    const again = await open(of)
    expect(again.position()).toEqual({ chunk: 0, rows: 0 })
    await again.close()
    await run(of)
    expect(await found()).toEqual(exact)
  })
})

describe('a load', () => {
  it('that becomes the table keeps what was staged when its destination crashes', async () => {
    const of = spec('overwrite')
    const load = await open(of)
    await load.copyChunk(0, chunk(0, size))
    await warehouse.crash()
    await load.close()
    const again = await open(of)
    expect(again.position()).toEqual({ chunk: 1, rows: size })
    await again.close()
    await run(of)
    expect(await found()).toEqual(exact)
  })

  it('is not finished with what a crash has left', async () => {
    await sql(`create table target (id int8, label text); insert into target values (-1, 'old')`)
    const of = spec('overwrite')
    const before = await open(of)
    await before.copyChunk(0, chunk(0, size))
    await warehouse.crash()
    const late = await open(of)
    await run({ ...of })
    await before.close()
    expect(await late.finish()).toMatchObject({ rows: chunks * size })
    await late.close()
    expect(await found()).toEqual(exact)
  })

  it('refuses to finish when what it saw staged is gone', async () => {
    await sql(`create table target (id int8, label text); insert into target values (-1, 'old')`)
    const of = spec('overwrite')
    const load = await open(of)
    await load.copyChunk(0, chunk(0, size))
    await sql(`truncate _weir_${of.loadId}`)
    await expect(load.finish()).rejects.toMatchObject({ code: 'load_changed', retryable: true })
    await load.close()
    expect(await sql('select label from target')).toEqual([{ label: 'old' }])
  })

  it('whose rows cannot be had fails with their own reason, keeps none of the chunk, and goes on', async () => {
    const load = await open(spec())
    const reason = new Error('the source is gone')
    async function* failing() {
      yield tuples(chunkOf(0, 10_000))
      await Promise.resolve()
      throw reason
    }
    await expect(load.copyChunk(0, failing())).rejects.toBe(reason)
    expect(load.position()).toEqual({ chunk: 0, rows: 0 })
    await load.copyChunk(0, chunk(0, size))
    expect(load.position()).toEqual({ chunk: 1, rows: size })
    await load.close()
  })

  it('whose rows are no rows fails in words, keeps none of them, and goes on', async () => {
    const load = await open(spec())
    async function* garbage() {
      for (let i = 0; i < 200; i++) {
        await Promise.resolve()
        yield new Uint8Array(65_536).fill(i)
      }
    }
    await expect(load.copyChunk(0, garbage())).rejects.toMatchObject({
      name: 'StepFailure',
      code: 'bad_value',
    })
    await load.copyChunk(0, chunk(0, size))
    expect(load.position()).toEqual({ chunk: 1, rows: size })
    await load.close()
  })

  it('takes empty chunks', async () => {
    const load = await open(spec())
    await load.copyChunk(0, chunk(0, 0))
    await load.copyChunk(1, chunk(0, size))
    await load.copyChunk(2, chunk(0, 0))
    expect(load.position()).toEqual({ chunk: 3, rows: size })
    expect(await load.finish()).toEqual({ rows: size })
    await load.close()
  })

  it('ends at once when its signal says so, and holds nobody up after that', async () => {
    const of = spec()
    const stop = new AbortController()
    const load = await open(of, stop.signal)
    const stuck = load.copyChunk(
      0,
      interrupted(0, () => {
        stop.abort(new Error('cancelled by its owner'))
        return new Promise((resolve) => setTimeout(resolve, 20))
      }),
    )
    await expect(stuck).rejects.toThrow('cancelled by its owner')
    await load.close()
    await run(of)
    expect(await found()).toEqual(exact)
  })

  it('given up cannot be continued by an attempt that is late', async () => {
    const of = spec()
    const late = await open(of)
    await dropStage(warehouse.connection, of, here)
    await expect(late.copyChunk(0, chunk(0, size))).rejects.toMatchObject({
      code: 'load_gone',
      retryable: false,
    })
    await late.close()
  })

  it('says that somebody holds a lock, and goes on when it is free', async () => {
    const of = spec()
    const load = await openLoad(warehouse.connection, of, { ...here, lockTimeoutMs: 100 })
    const other = await PostgresSession.open(warehouse.connection, here)
    await other.script(`begin; lock table public._weir_${of.loadId}`)
    await expect(load.copyChunk(0, chunk(0, size))).rejects.toMatchObject({ code: 'locked', retryable: true })
    await other.close()
    await load.copyChunk(0, chunk(0, size))
    expect(load.position()).toEqual({ chunk: 1, rows: size })
    await load.close()
  })

  it('does not take a table that is not its own for its stage', async () => {
    const of = spec()
    await sql(`create table public._weir_${of.loadId} (id int8, label text)`)
    const failure = await open(of).catch((cause: unknown) => cause)
    expect(failure).toMatchObject({ code: 'stage_unreadable' })
    expect(String(failure)).not.toContain(password)
  })
})
