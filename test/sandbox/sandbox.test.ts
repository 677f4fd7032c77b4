import { beforeAll, describe, expect, it } from 'vitest'
import { ScriptFailure } from '#src/sandbox/failure.ts'
import { openSandbox, type Sandbox, type ScriptBatch } from '#src/sandbox/sandbox.ts'
import { meteredQuickjs } from '#test/support/metered-quickjs.ts'

let module: WebAssembly.Module
beforeAll(async () => {
  module = await meteredQuickjs()
})

type Limits = { memoryMb?: number; cpuMs?: number }
const open = (code: string, limits: Limits = {}): Promise<Sandbox> =>
  openSandbox(module, { code, memoryMb: 16, cpuMs: 1_000, ...limits })
const batch = (rows: unknown[], rest: Partial<ScriptBatch> = {}): ScriptBatch => ({
  rows: JSON.stringify(rows),
  context: '{}',
  now: 0,
  seed: 1,
  ...rest,
})
const made = async (code: string, rows: unknown[] = [], rest: Partial<ScriptBatch> = {}): Promise<unknown> =>
  JSON.parse((await open(code)).apply(batch(rows, rest)).rows)
const value = async (expression: string): Promise<unknown> =>
  made(`export default () => [${expression}]`).then((rows) => (rows as unknown[])[0])
const failure = async (code: string, limits: Limits = {}): Promise<ScriptFailure> => {
  try {
    ;(await open(code, limits)).apply(batch([{}]))
  } catch (error) {
    if (error instanceof ScriptFailure) return error
    throw error
  }
  throw new Error('the script did not fail')
}

describe('a script', () => {
  it('is a module whose default export makes rows of rows', async () => {
    const code = `
      const factor = 2
      const twice = ({ n, ...rest }) => ({ ...rest, n: n * factor })
      export default (rows, { params }) => rows.filter((row) => row.n >= params.least).map(twice)`
    const rows = [
      { n: 1, s: 'a' },
      { n: 2, s: 'ü€😀\u0000"' },
    ]
    expect(await made(code, rows, { context: '{"params":{"least":2}}' })).toEqual([
      { n: 4, s: 'ü€😀\u0000"' },
    ])
  })

  it('is told the time once, and rolls the same dice for the same seed', async () => {
    const code = `export default () => [Date.now(), new Date().toISOString(), new Date(5).getTime(), new Date() instanceof Date, Math.random(), Math.random()]`
    const [first, again, other] = await Promise.all(
      [7, 7, 8].map((seed) => made(code, [], { now: 1e12, seed }) as Promise<number[]>),
    )
    expect(first?.slice(0, 4)).toEqual([1e12, '2001-09-09T01:46:40.000Z', 5, true])
    expect(again).toEqual(first)
    expect(other?.[4]).not.toBe(first?.[4])
    expect(first?.[4]).not.toBe(first?.[5])
    expect(first?.[5]).toBeLessThan(1)
  })

  it('logs what it likes, of which the first 64 KB are kept', async () => {
    const some = await open(
      `export default () => { console.log('a', 1, { b: [2] }, null, undefined, new TypeError('x'), '\\u0000'); console.error('end'); return [] }`,
    )
    expect(some.apply(batch([])).logs).toBe('a 1 {"b":[2]} null undefined TypeError: x \ufffd\nend\n')
    const much = await open(
      `export default () => { for (let i = 0; i < 1e5; i++) console.log('line ' + i); return [] }`,
    )
    const { logs } = much.apply(batch([]))
    expect(logs).toHaveLength(64 * 1024)
    expect(logs).toMatch(/^line 0\nline 1\n/)
  })

  it('starts every batch anew', async () => {
    const sandbox = await open(`
      let seen = 0
      export default () => {
        seen++
        globalThis.left = (globalThis.left ?? 0) + 1
        Object.prototype.polluted = (Object.prototype.polluted ?? 0) + 1
        Array.prototype.map = () => 'mine'
        JSON.parse = JSON.stringify = () => 'mine'
        return [[seen, globalThis.left, ({}).polluted]]
      }`)
    for (let i = 0; i < 50; i++) expect(sandbox.apply(batch([])).rows).toBe('[[1,1,1]]')
  })

  it('uses memory that is given back between batches', async () => {
    const sandbox = await open(
      `const cycle = () => { const a = {}; a.a = a; return a }
       globalThis.kept = Array.from({ length: 20_000 }, cycle)
       export default (rows) => rows`,
      { memoryMb: 8 },
    )
    const rows = Array.from({ length: 3_000 }, (_, i) => ({ i, text: 'x'.repeat(100) }))
    for (let i = 0; i < 40; i++) expect(JSON.parse(sandbox.apply(batch(rows)).rows)).toHaveLength(3_000)
    expect(sandbox.usedMs()).toBeGreaterThan(0)
  })
})

describe('a script that goes wrong says so', () => {
  it.each([
    ['bad_script', /could not be read at line 2: SyntaxError/, 'export default (rows) =>\n rows.map(('],
    ['bad_script', /must have a function as its default export/, 'export default 5'],
    ['bad_script', /must have a function as its default export/, '(rows) => rows'],
    [
      'bad_script',
      /must have a function as its default export/,
      'await new Promise(() => {}); export default (rows) => rows',
    ],
    ['script_threw', /could not be read at line 1: TypeError/, 'null.x; export default (rows) => rows'],
    [
      'script_threw',
      /could not be read.*(module|load)/,
      'import fs from "fs"; export default (rows) => rows',
    ],
    [
      'script_threw',
      /could not be run at line 3: TypeError: .*undefined/,
      'export default (rows) => {\n const a = 1\n return rows.map((r) => r.a.b)\n}',
    ],
    ['script_threw', /could not be run: word$/, 'export default () => { throw "word" }'],
    ['script_threw', /could not be run: nothing that can be shown$/, 'export default () => { throw null }'],
    [
      'script_threw',
      /could not be run: \{.*"a":1\}$/,
      'export default () => { throw { toString: 1, a: 1 } }',
    ],
    [
      'script_threw',
      /could not be run.*x{400}…$/,
      'export default () => { throw new Error("x".repeat(1e6)) }',
    ],
    [
      'script_threw',
      /could not be run.*: Error$/,
      'export default () => { throw Object.defineProperty(new Error(), "message", { get() { throw 1 } }) }',
    ],
    ['script_result', /it gave undefined\./, 'export default (rows) => { rows.map((r) => r) }'],
    ['script_result', /it gave null\./, 'export default () => null'],
    ['script_result', /it gave a value of type object\./, 'export default () => ({ length: 1, 0: {} })'],
    ['script_result', /it gave a value of type string\./, 'export default () => "[]"'],
    ['script_result', /it gave a promise\./, 'export default async (rows) => rows'],
    [
      'script_result',
      /more than 8 MB/,
      'export default () => { const s = "x".repeat(1e6); return Array.from({ length: 9 }, () => s) }',
      { memoryMb: 32 },
    ],
    [
      'script_result',
      /JSON cannot hold/,
      'export default () => Object.assign([], { toJSON: () => undefined })',
    ],
    ['script_threw', /circular/, 'export default () => { const a = []; a.push(a); return a }'],
    ['script_threw', /BigInt/i, 'export default () => [1n]'],
  ] satisfies [string, RegExp, string, Limits?][])(
    '%s, %s',
    async (code, message, script, limits: Limits = {}) => {
      expect(await failure(script, limits)).toMatchObject({
        code,
        message: expect.stringMatching(message),
        retryable: false,
      })
    },
  )

  it('and what it logged until then', async () => {
    const { logs } = await failure(`export default () => { console.log('so far'); throw new Error('x') }`)
    expect(logs).toBe('so far\n')
    const endless = await failure(`export default () => { console.log('so far'); for (;;); }`, { cpuMs: 50 })
    expect(endless).toMatchObject({ code: 'script_time', logs: 'so far\n' })
    expect(endless.message).toMatch(/0\.05 s of processor time for one batch of rows, at line 1\./)
  })
})

it('knows the language and nothing else', async () => {
  const names = (await value('Object.getOwnPropertyNames(globalThis).sort()')) as string[]
  const outside =
    /^(fetch|XMLHttpRequest|WebSocket|require|process|Deno|Bun|navigator|caches|crypto|performance|setTimeout|setInterval|setImmediate|queueMicrotask|WebAssembly|Worker|importScripts|std|os|bjson|print|scriptArgs|module|exports|__dirname|self|window|global)$/
  expect(names.filter((name) => outside.test(name))).toEqual([])
  expect(names).toContain('JSON')
})
