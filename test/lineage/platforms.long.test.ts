import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { buildProgram } from '#local/build.ts'
import { compatibilityDate, compatibilityFlags } from '#local/worker.ts'
import { expected } from './fixtures/questions.ts'

const run = promisify(execFile)
let outDir: string
beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'weir-lineage-'))
})
afterAll(() => rm(outDir, { recursive: true, force: true }))
const fixture = (name: string) => `test/lineage/fixtures/${name}.ts`

it('parses in workerd', async () => {
  const { file } = await buildProgram({ entry: fixture('worker'), platform: 'workerd', outDir })
  const miniflare = new Miniflare({
    modules: [
      { type: 'ESModule', path: 'worker.js', contents: await readFile(file, 'utf8') },
      {
        type: 'CompiledWasm',
        path: 'libpg-query.wasm',
        contents: await readFile(join(outDir, 'libpg-query.wasm')),
      },
    ],
    compatibilityDate,
    compatibilityFlags,
    telemetry: { enabled: false },
  })
  try {
    const response = await miniflare.dispatchFetch('http://weir.test/')
    expect(JSON.parse(await response.text())).toEqual(expected)
  } finally {
    await miniflare.dispose()
  }
})

it('parses in Deno', async () => {
  const { file } = await buildProgram({ entry: fixture('deno'), platform: 'deno', outDir })
  const deno = join(dirname(createRequire(import.meta.url).resolve('deno/package.json')), 'deno')
  const options = [
    'run',
    '--no-prompt',
    '--no-config',
    '--no-remote',
    '--no-npm',
    '--no-lock',
    '--allow-read',
    '--allow-env',
    file,
  ]
  const { stdout } = await run(deno, options, { env: { ...process.env, NO_COLOR: '1' } })
  expect(JSON.parse(stdout)).toEqual(expected)
})
