import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject as given, it } from 'vitest'
import { dataPage, forge } from '#test/connectors/files/forge-parquet.ts'
import { leftovers, nothing, tableOf, tally, tallyOf } from '#test/support/ledger.ts'
import { isLongForm } from '#test/support/long-form.ts'
import { manyRows } from '#test/support/many-rows.ts'
import { client, workerOrApp } from '#test/support/own-stack.ts'
import { connect, finished, json, pipeline, upload, type StepJson } from '#test/support/pipeline.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'

let dir: string
let worker: Awaited<ReturnType<typeof workerOrApp>>
let pid: number
let acme: Tenant
let files: string
let owner: pg.Client

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-bad-files-'))
  owner = await client(given('ownerUrl'))
  worker = await workerOrApp({ env: given('env'), dir })
  pid = worker.pid()
  acme = await newTenant(worker.url, (asked) => fetch(asked))
  files = await connect(acme, 'files')
})
afterAll(async () => {
  await worker?.stop()
  await owner?.end()
  await rm(dir, { recursive: true, force: true })
})

/** Good rows enough for several batches to be committed before the bad one comes. */
const goodRows = 120_000
const rowsThen = (...bad: (string | Uint8Array)[]): Uint8Array => {
  const good = Array.from({ length: goodRows }, (_, i) => `${i + 1},city ${i % 100}`).join('\n')
  return Buffer.concat([`id,city\n${good}\n`, ...bad].map((part) => Buffer.from(part)))
}
const many = () => manyRows(60_000, 20_000)
const damaged = () => {
  const whole = many()
  return whole.fill(0xa5, Math.round(whole.length / 3), Math.round((whole.length * 2) / 3))
}

const bad: [string, string, () => Uint8Array, string, RegExp][] = [
  [
    'a ragged row',
    'ragged.csv',
    () => rowsThen('120001,Rome,extra\n'),
    'bad_csv',
    /row 120001: it has 3 fields, the header has 2/,
  ],
  [
    'a byte that is not UTF-8',
    'latin.csv',
    () => rowsThen('120001,K', Uint8Array.of(0xf6), 'ln\n'),
    'bad_encoding',
    /row 120001: the byte at \d+ is not UTF-8/,
  ],
  ['no end', 'cut.parquet', () => many().slice(0, -1_000), 'bad_parquet', /cannot be read/],
  [
    'a footer that promises 2 GB from 4 KB',
    'promise.parquet',
    () =>
      forge({
        rows: 2 ** 28,
        pages: [dataPage(2 ** 28, new Uint8Array(4_000), 2 ** 31 - 1)],
        meta: { codec: 'SNAPPY', total_uncompressed_size: 2n ** 31n },
      }),
    'bad_parquet',
    /cannot be read/,
  ],
  ['damage in the middle', 'damaged.parquet', damaged, 'bad_parquet', /cannot be read/],
]

const read = (file: string, into: string) => `
steps:
  - { id: read, extract: { connection: files, stream: ${file} }, into: ${into} }
  - { id: uses, sql: select count(*) as n from ${into}, into: ${into}_count }`

/** The failure of the step that reads the file, once it is sure that nothing else has come of it. */
async function failureOf(into: string, file: string): Promise<StepJson['error']> {
  const run = await finished(acme, await pipeline(acme, read(file, into)))
  expect(run).toMatchObject({
    state: 'failed',
    steps: [{ state: 'failed', attempt: 1 }, { state: 'skipped' }],
  })
  expect(await leftovers(owner, run.id)).toEqual(nothing)
  const { rows } = await owner.query(
    `select state from dataset_versions where run_id = $1 and state = 'ready'`,
    [run.id],
  )
  expect(rows).toEqual([])
  expect(worker.pid()).toBe(pid)
  expect((await fetch(`${worker.url}/v1/health`)).status).toBe(200)
  return run.steps[0]?.error
}

describe('a file that cannot be read to its end', () => {
  it.each(bad)(
    'because of %s, fails its step and leaves the dataset as it was',
    async (_, file, content, code, words) => {
      const into = file.replace('.', '_')
      const isCsv = file.endsWith('.csv')
      await upload(acme, files, file, isCsv ? 'id,city\n1,Rome\n2,Oslo\n' : manyRows(2, 2))
      expect((await finished(acme, await pipeline(acme, read(file, into)))).state).toBe('succeeded')
      const before = await tableOf(owner, acme.id, into)
      await upload(acme, files, file, content())
      const failure = await failureOf(into, file)
      expect(failure).toEqual({ code, message: expect.stringMatching(words) })
      expect(failure?.message).toContain(`"${file}"`)
      expect(await tableOf(owner, acme.id, into)).toBe(before)
      expect(await tally(owner, before)).toEqual(tallyOf(2))
    },
  )

  it('because of a line without an end, fails its step without reading it all', async () => {
    await uploadLongLine('long.csv', (isLongForm ? 200 : 30) * 1024 * 1024)
    expect(await failureOf('long_csv', 'long.csv')).toEqual({
      code: 'row_too_long',
      message: expect.stringMatching(/^The file "long\.csv", row 2: it is longer than 8 MB/),
    })
  })
})

/** A stream, as a client sends it that does not hold it all either. */
async function uploadLongLine(name: string, bytes: number): Promise<void> {
  const head = Buffer.from('id,city\n1,Rome\n2,')
  const asked = await acme.fetch(`/v1/connections/${files}/files`, { method: 'POST', body: { name, bytes } })
  const { upload: to } = await json<{
    upload: { url: string; method: string; headers: Record<string, string> }
  }>(asked, 201)
  const piece = Buffer.alloc(1024 * 1024, 'x')
  await new Promise<void>((resolve, reject) => {
    const put = request(
      to.url,
      { method: to.method, headers: { ...to.headers, 'Content-Length': bytes } },
      (answer) => {
        answer.resume()
        answer.on('end', () =>
          answer.statusCode === 200 ? resolve() : reject(new Error(`upload: ${answer.statusCode}`)),
        )
      },
    )
    put.on('error', reject)
    put.write(head)
    let left = bytes - head.length
    const send = (): void => {
      while (left > 0) {
        const size = Math.min(left, piece.length)
        left -= size
        if (!put.write(piece.subarray(0, size))) return void put.once('drain', send)
      }
      put.end()
    }
    send()
  })
}
