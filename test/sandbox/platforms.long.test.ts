import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { buildProgram, modulesOf, wasmOf } from '#local/build.ts'
import { readQuickjs } from '#local/quickjs.ts'
import { compatibilityDate, compatibilityFlags } from '#local/worker.ts'
import { quickjs } from '#test/support/quickjs.ts'
import { exercise, expected } from './fixtures/exercise.ts'

const run = promisify(execFile)
let outDir: string
beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'weir-sandbox-'))
})
afterAll(() => rm(outDir, { recursive: true, force: true }))
const build = (platform: 'workerd' | 'deno', name: string) =>
  buildProgram({ entry: `test/sandbox/fixtures/${name}.ts`, platform, outDir: join(outDir, name) })
const isExpected = expected.map((pattern) => expect.stringMatching(pattern))

it('holds scripts in Node', async () => {
  expect(await exercise(await quickjs())).toEqual(isExpected)
})

it('holds scripts in workerd, which is alive afterwards', async () => {
  const { file } = await build('workerd', 'worker')
  const miniflare = new Miniflare({
    modules: [
      ...(await modulesOf(file)).map((module) => ({ type: 'ESModule' as const, ...module })),
      ...(await wasmOf(file)).map((module) => ({ type: 'CompiledWasm' as const, ...module })),
    ],
    compatibilityDate,
    compatibilityFlags,
    telemetry: { enabled: false },
  })
  try {
    for (let i = 0; i < 2; i++) {
      const response = await miniflare.dispatchFetch('http://weir.test/')
      expect(JSON.parse(await response.text())).toEqual(isExpected)
    }
  } finally {
    await miniflare.dispose()
  }
})

it('holds scripts in Deno', async () => {
  const { file } = await build('deno', 'deno')
  const deno = join(dirname(createRequire(import.meta.url).resolve('deno/package.json')), 'deno')
  const options = ['run', '--no-prompt', '--no-config', '--no-remote', '--no-npm', '--no-lock']
  const { stdout } = await run(deno, [...options, '--allow-read', '--allow-env', file], {
    env: { ...process.env, NO_COLOR: '1' },
  })
  expect(JSON.parse(stdout)).toEqual(isExpected)
})

it('starts with 6 MB of memory and has a meter', async () => {
  const wasm = await readQuickjs()
  const module = await WebAssembly.compile(wasm)
  expect(WebAssembly.Module.exports(module)).toContainEqual({ name: 'fuel', kind: 'global' })
  const stubs = Object.fromEntries(
    WebAssembly.Module.imports(module).map((wanted) => [wanted.name, () => 0] as const),
  )
  const withMemory = (initial: number) => ({
    a: { ...stubs, a: new WebAssembly.Memory({ initial, maximum: 1_000 }) },
  })
  expect(() => new WebAssembly.Instance(module, withMemory(95))).toThrow(/memory/)
  const { exports } = new WebAssembly.Instance(module, withMemory(96))
  expect((exports['fuel'] as WebAssembly.Global).value).toBeGreaterThan(2n ** 39n)
})
