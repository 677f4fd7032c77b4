import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { ColumnType } from '#src/domain/column.ts'
import type { RunId } from '#src/domain/id.ts'
import { startBudget, type DeliveryLimits } from '#src/engine/budget.ts'
import type { StepOutcome, Work } from '#src/engine/step.ts'
import { stepLog } from '#src/engine/step-log.ts'
import { executeScript } from '#src/engine/steps/script.ts'
import { tableOf } from '#test/support/ledger.ts'
import { manyRows } from '#test/support/many-rows.ts'
import { client } from '#test/support/own-stack.ts'
import { connect, pipeline, readRun, start, upload } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

const rows = 40_000
let here: World
let acme: Tenant
let owner: pg.Client
let runId: RunId

beforeAll(async () => {
  here = await world()
  acme = await here.tenant()
  owner = await client(inject('ownerUrl'))
  const files = await connect(acme, 'files')
  await upload(acme, files, 'many.parquet', manyRows(rows, 20_000))
  const id = await pipeline(
    acme,
    `
parameters: { by: { type: integer, default: 3 } }
steps:
  - { id: read, extract: { connection: files, stream: many.parquet }, into: many }
  - id: typed
    into: typed
    after: [read]
    sql: >
      select * from (values
        (true, 7, 9007199254740993::bigint, 42::bigint, 1.5::float8, 'NaN'::float8, 12.50::numeric, 0.12345678901234567890::numeric, 'ü"€',
         date '2024-02-29', timestamp '2024-02-29 12:00:00.25', timestamptz '2024-02-29 12:00:00+02', '{"a": [1, null]}'::jsonb),
        (null, null, null, null, null, null, null, null, null, null, null, null, null)
      ) v(boolean, integer, large, bigint, double, nan, decimal, long, text, date, timestamp, timestamptz, json)
  - { id: wide, into: wide, after: [read], sql: "select string_agg(note, '') as text from many" }
  - { id: none, into: none, after: [read], sql: select id from many where id < 0 }
  - { id: hold, wait: { for: 1h }, after: [read, typed, wide, none] }`,
  )
  runId = (await start(acme, id)) as RunId
  await until('the datasets', async () => (await readRun(acme, runId)).steps.at(-1)?.state === 'waiting')
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

type Script = {
  from: string
  code: string
  columns: Record<string, ColumnType>
  memoryMb?: number
  timeoutMs?: number
}

/** What a delivery that has claimed the step is given; the step itself is another's, for what it stores is the same. */
async function claim(
  { from, code, columns, memoryMb = 16, timeoutMs = 10_000 }: Script,
  limits?: DeliveryLimits,
) {
  const { rows: claimed } = await owner.query<{
    fence: string
    cursor: Record<string, unknown> | null
    rows_in: string
  }>(
    `update steps set state = 'running', fence = fence + 1, lease_until = now() + interval '1 hour'
     where run_id = $1 and key = 'hold' returning fence, cursor, rows_in`,
    [runId],
  )
  const [step] = claimed
  if (!step) throw new Error('there is no step to claim')
  const log = stepLog(here.services.now, runId, { key: 'hold', mapIndex: 0 })
  const work = {
    services: here.services,
    db: here.services.database.tenant(acme.id, 'job'),
    run: { id: runId, parameters: { by: 3 } },
    claimed: {
      key: 'hold',
      mapIndex: 0,
      fence: Number(step.fence),
      cursor: step.cursor,
      rowsIn: Number(step.rows_in),
      outputs: { read: { rowsOut: rows } },
    },
    budget: startBudget(here.services.now, limits),
    signal: new AbortController().signal,
    progress: () => undefined,
    log: log.say,
    stepLog: log,
    definition: {
      script: {
        from,
        code,
        memoryMb,
        timeoutMs,
        columns: Object.entries(columns).map(([name, type]) => ({ name, type })),
      },
      into: 'made',
    },
  }
  return work as unknown as Work & Pick<typeof work, 'definition'>
}

const forget = () =>
  owner.query(
    `update steps set cursor = null, rows_in = 0, rows_out = 0 where run_id = $1 and key = 'hold'`,
    [runId],
  )

async function done(script: Script): Promise<StepOutcome> {
  await forget()
  const work = await claim(script)
  const outcome = await executeScript(work)
  await work.db.statements(outcome.statements ?? [])
  return outcome
}

async function made(select: string): Promise<Record<string, unknown>[]> {
  const table = await tableOf(owner, acme.id, 'made')
  return (await owner.query<Record<string, unknown>>(select.replace('made', table))).rows
}

const failed = async (code: string, columns: Record<string, ColumnType> = { id: 'integer' }, limits = {}) =>
  (await done({ from: 'many', code: `export default (rows) => { ${code} }`, columns, ...limits })).result

describe('a script', () => {
  it('makes a dataset of a dataset, batch by batch in order', async () => {
    const code = `export default (rows, { params, outputs, first }) => {
      if (rows[0].id !== first) throw new Error('the rows are out of order')
      console.log(outputs.read.rowsOut, rows.length)
      return rows.flatMap(({ id, note }) => (id % 2 ? [{ id: id * params.by, long: note.length }] : []))
    }`
    const { result } = await done({ from: 'many', code, columns: { id: 'bigint', long: 'integer' } })
    expect(result).toMatchObject({ state: 'succeeded', rowsIn: rows, rowsOut: rows / 2, cursor: null })
    const logs = result.output?.['logs']
    const batches = typeof logs === 'string' ? logs.trim().split('\n') : []
    expect(batches.length).toBeGreaterThan(3)
    expect(batches.every((line) => line.startsWith(`${rows} `))).toBe(true)
    expect(
      await made(
        'select count(*)::int as n, count(distinct id)::int as distinct, sum(id)::text as sum, min(long) as long from made',
      ),
    ).toEqual([{ n: rows / 2, distinct: rows / 2, sum: String(3 * (rows / 2) ** 2), long: 150 }])
  })

  it('is given every type as JSON has it, and gives every type back as it was', async () => {
    const columns: Record<string, ColumnType> = {
      boolean: 'boolean',
      integer: 'integer',
      large: 'bigint',
      bigint: 'bigint',
      double: 'double',
      nan: 'double',
      decimal: 'decimal',
      long: 'decimal',
      text: 'text',
      date: 'date',
      timestamp: 'timestamp',
      timestamptz: 'timestamptz',
      json: 'json',
      seen: 'text',
    }
    const code = `export default (rows) => rows.map((row) => ({ ...row, seen: JSON.stringify(row) }))`
    expect((await done({ from: 'typed', code, columns })).result).toMatchObject({
      state: 'succeeded',
      rowsOut: 2,
    })
    const [first, second] = await made(
      'select to_jsonb(m) - $$seen$$ as m, seen from made m order by integer',
    )
    const seen = {
      boolean: true,
      integer: 7,
      large: '9007199254740993',
      bigint: 42,
      double: 1.5,
      nan: 'NaN',
      decimal: 12.5,
      long: '0.12345678901234567890',
      text: 'ü"€',
      date: '2024-02-29',
      timestamp: '2024-02-29T12:00:00.25',
      timestamptz: '2024-02-29T10:00:00Z',
      json: { a: [1, null] },
    }
    expect(JSON.parse(String(first?.['seen']))).toEqual(seen)
    const names = Object.keys(seen).map((name) => [name, null])
    expect(second?.['m']).toEqual(Object.fromEntries(names))
    const same = await owner.query(`select 1 from (select ${Object.keys(seen)
      .map((name) => `"${name}"`)
      .join(', ')} from ${await tableOf(owner, acme.id, 'made')} where integer = 7
      intersect select * from ${await tableOf(owner, acme.id, 'typed')}) both_have`)
    expect(same.rowCount).toBe(1)
  })

  it('that gives nothing, or is given nothing, makes an empty dataset', async () => {
    expect(await failed('return []')).toMatchObject({ state: 'succeeded', rowsIn: rows, rowsOut: 0 })
    expect(await made('select count(*)::int as n from made')).toEqual([{ n: 0 }])
    const none = { from: 'none', code: 'export default (rows) => rows', columns: { id: 'integer' as const } }
    expect((await done(none)).result).toMatchObject({ state: 'succeeded', rowsIn: 0, rowsOut: 0 })
  })
})

describe('a delivery of a script', () => {
  const copy: Script = {
    from: 'many',
    code: `export default (rows) => rows.map(({ id }) => ({ id, dice: Math.random(), at: new Date().toISOString() }))`,
    columns: { id: 'integer', dice: 'double', at: 'timestamptz' },
  }
  const inAll =
    'select count(*)::int as n, count(distinct id)::int as ids, count(distinct at)::int as times, sum(dice) as dice from made'

  it('hands on when its budget is spent, and every row comes once', async () => {
    await done(copy)
    const [whole] = await made(inAll)
    await forget()
    let deliveries = 1
    let work = await claim(copy, { wallMs: 60_000, calls: 2 })
    let outcome = await executeScript(work)
    for (; outcome.result.state === 'ready'; deliveries++) {
      expect(outcome.result).toEqual({ state: 'ready', yielded: true })
      work = await claim(copy, { wallMs: 60_000, calls: 2 })
      outcome = await executeScript(work)
    }
    await work.db.statements(outcome.statements ?? [])
    expect(deliveries).toBeGreaterThan(3)
    expect(outcome.result).toMatchObject({ state: 'succeeded', rowsIn: rows, rowsOut: rows })
    const [pieces] = await made(inAll)
    expect(pieces).toMatchObject({ n: rows, ids: rows, times: 1 })
    expect(whole).toMatchObject({ n: rows, ids: rows, times: 1 })
    expect(Number(pieces?.['dice'])).toBeCloseTo(Number(whole?.['dice']), 6)
  })

  it('hands on when its processor time is spent', async () => {
    const slow = `export default (rows) => { let n = 0; for (let i = 0; i < 2e5; i++) n += i; return rows.map(({ id }) => ({ id })) }`
    await forget()
    const work = await claim({ from: 'many', code: slow, columns: { id: 'integer' }, timeoutMs: 60 })
    expect((await executeScript(work)).result).toEqual({ state: 'ready', yielded: true })
  })

  it('that has lost its step changes nothing', async () => {
    await forget()
    const late = await claim(copy, { wallMs: 60_000, calls: 2 })
    await executeScript(late)
    const next = await claim(copy)
    await expect(executeScript(late)).rejects.toMatchObject({ code: 'WE001' })
    const outcome = await executeScript(next)
    await next.db.statements(outcome.statements ?? [])
    expect((await made(inAll))[0]).toMatchObject({ n: rows, ids: rows })
  })
})

describe('a script fails the step, with words and what it logged', () => {
  it.each([
    ['script_time', /0\.1 s of processor time/, 'console.log("so far"); for (;;);', { timeoutMs: 100 }],
    [
      'script_memory',
      /its 4 MB/,
      'console.log("so far"); const a = []; for (;;) a.push({})',
      { memoryMb: 4 },
    ],
    ['script_depth', /nested too deeply/, 'console.log("so far"); const f = () => f() + 1; f()', {}],
    ['script_threw', /at line 1: Error: no/, 'console.log("so far"); throw new Error("no")', {}],
    ['script_result', /gave undefined/, 'console.log("so far")', {}],
    ['script_memory', /its 16 MB/, 'console.log("so far"); return new Array(1e9)', {}],
    [
      'script_result',
      /more than 1,000,000 values/,
      'console.log("so far"); return new Array(1_000_001).fill(0)',
      {},
    ],
    [
      'script_result',
      /more than 500,000 lists and mappings/,
      'console.log("so far"); return new Array(500_001).fill({})',
      { memoryMb: 32 },
    ],
    ['bad_row', /Row 2 .* is null/, 'console.log("so far"); return [{}, null]', {}],
    [
      'bad_row',
      /Row 1 .* "ID", which is not among its columns: did you mean "id"/,
      'console.log("so far"); return [{ ID: 1 }]',
      {},
    ],
    [
      'bad_value',
      /Row 3 .* column "id": "x" is not a whole number of 32 bits/,
      'console.log("so far"); return [{}, { id: 1 }, { id: "x" }]',
      {},
    ],
    ['bad_value', /column "id": 1\.5 is not/, 'console.log("so far"); return [{ id: 1.5 }]', {}],
  ])('%s, %s', async (code, message, script, limits) => {
    expect(await failed(script, { id: 'integer' }, limits)).toMatchObject({
      state: 'failed',
      error: { code, message: expect.stringMatching(message) },
      output: { logs: 'so far\n' },
    })
  })

  it('and a row that is larger than a script can be given', async () => {
    const wide = { from: 'wide', code: 'export default (rows) => rows', columns: { text: 'text' as const } }
    expect((await done(wide)).result).toMatchObject({
      state: 'failed',
      error: { code: 'row_too_large', message: expect.stringMatching(/"wide" has a row of more than 4 MB/) },
    })
  })
})
