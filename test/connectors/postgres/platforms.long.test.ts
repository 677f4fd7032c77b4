import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { buildProgram } from '#local/build.ts'
import { compatibilityDate, compatibilityFlags } from '#local/worker.ts'
import { exercise } from './fixtures/exercise.ts'
import { startWarehouse, type Warehouse } from './warehouse.ts'

const run = promisify(execFile)
let warehouse: Warehouse
let outDir: string
beforeAll(async () => {
  warehouse = await startWarehouse()
  outDir = await mkdtemp(join(tmpdir(), 'weir-platforms-'))
})
afterAll(async () => {
  await warehouse.stop()
  await rm(outDir, { recursive: true, force: true })
})
beforeEach(() =>
  warehouse.sql('drop schema if exists public cascade; create schema public authorization weir'),
)

const n = 200_000
const expected = {
  wrongPassword: { ok: false, code: 'wrong_password', detail: expect.stringContaining('the warehouse') },
  refused: { ok: false, code: 'connection_refused', detail: expect.stringContaining('127.0.0.1:1') },
  garbage: 'bad_value',
  loaded: { rows: n, inserted: n, updated: 0 },
  read: { rows: n, sum: String((BigInt(n) * BigInt(n - 1)) / 2n), last: `row ${n - 1}` },
}
const fixture = (name: string) => `test/connectors/postgres/fixtures/${name}.ts`

it('loads and reads in Node', async () => {
  expect(await exercise(warehouse.connection)).toEqual(expected)
})

it('loads and reads in workerd', async () => {
  const { file } = await buildProgram({ entry: fixture('worker'), platform: 'workerd', outDir })
  const contents = await readFile(file, 'utf8')
  const modules = [{ type: 'ESModule' as const, path: 'worker.js', contents }]
  const miniflare = new Miniflare({
    modules,
    compatibilityDate,
    compatibilityFlags,
    telemetry: { enabled: false },
  })
  try {
    const body = JSON.stringify(warehouse.connection)
    const response = await miniflare.dispatchFetch('http://weir.test/', { method: 'POST', body })
    expect(JSON.parse(await response.text())).toEqual(expected)
  } finally {
    await miniflare.dispose()
  }
})

it('loads and reads in Deno', async () => {
  const { file } = await buildProgram({ entry: fixture('deno'), platform: 'deno', outDir })
  const folder = dirname(createRequire(import.meta.url).resolve('deno/package.json'))
  const { stdout } = await run(
    join(folder, 'deno'),
    [
      'run',
      '--no-prompt',
      '--no-config',
      '--no-remote',
      '--no-npm',
      '--no-lock',
      '--allow-net',
      '--allow-env',
      file,
    ],
    {
      env: { ...process.env, CONNECTION: JSON.stringify(warehouse.connection), NO_COLOR: '1' },
    },
  )
  expect(JSON.parse(stdout)).toEqual(expected)
})
