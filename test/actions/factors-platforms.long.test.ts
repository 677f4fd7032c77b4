import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildProgram, modulesOf } from '#local/build.ts'
import { compatibilityDate, compatibilityFlags } from '#local/worker.ts'
import { exercise, expected } from './fixtures/exercise.ts'

const run = promisify(execFile)
let outDir: string
beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'weir-factors-'))
})
afterAll(() => rm(outDir, { recursive: true, force: true }))
const build = (platform: 'workerd' | 'deno', name: string) =>
  buildProgram({ entry: `test/actions/fixtures/${name}.ts`, platform, outDir: join(outDir, name) })

it('checks codes and passkeys in Node', async () => {
  expect(await exercise()).toEqual(expected)
})

it('checks codes and passkeys in workerd', async () => {
  const { file } = await build('workerd', 'worker')
  const miniflare = new Miniflare({
    modules: (await modulesOf(file)).map((module) => ({ type: 'ESModule' as const, ...module })),
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

it('checks codes and passkeys in Deno', async () => {
  const { file } = await build('deno', 'deno')
  const deno = join(dirname(createRequire(import.meta.url).resolve('deno/package.json')), 'deno')
  const options = ['run', '--no-prompt', '--no-config', '--no-remote', '--no-npm', '--no-lock']
  const { stdout } = await run(deno, [...options, '--allow-read', '--allow-env', file], {
    env: { ...process.env, NO_COLOR: '1' },
  })
  expect(JSON.parse(stdout)).toEqual(expected)
})
