import { beforeAll, describe, expect, it } from 'vitest'
import { ScriptFailure } from '#src/sandbox/failure.ts'
import { openSandbox } from '#src/sandbox/sandbox.ts'
import { meteredQuickjs } from '#test/support/metered-quickjs.ts'

let module: WebAssembly.Module
beforeAll(async () => {
  module = await meteredQuickjs()
})

type Made = { code: string; message: string } | { rows: unknown }

/** What comes of a function body, run as a tenant's script with little time. */
async function attempt(body: string, memoryMb = 8): Promise<Made> {
  try {
    const script = { code: `export default (rows, context) => {\n${body}\n}`, memoryMb, cpuMs: 100 }
    const sandbox = await openSandbox(module, script)
    const { rows } = sandbox.apply({ rows: '[{"id":1}]', context: '{}', now: 0, seed: 0 })
    return { rows: JSON.parse(rows) as unknown }
  } catch (error) {
    if (error instanceof ScriptFailure) return { code: error.code, message: error.message }
    throw error
  }
}

/** Another tenant's script, and what of the host a script might have changed. */
async function nextTenant(): Promise<unknown> {
  const body = `return [[Object.keys(Object.prototype).length, typeof globalThis.mark, [3, 1].sort().join(), JSON.stringify({ a: [1] }), 'x'.padStart(2)]]`
  return {
    made: await attempt(body),
    host: [Object.keys(Object.prototype), JSON.stringify({ a: [1] }), typeof Reflect.get(globalThis, 'mark')],
  }
}
const untouched = {
  made: { rows: [[0, 'undefined', '1,3', '{"a":[1]}', ' x']] },
  host: [[], '{"a":[1]}', 'undefined'],
}

describe('what takes time without end is stopped', () => {
  it.each([
    ['a loop', 'for (;;);'],
    ['a loop that catches everything', 'for (;;) try { for (;;); } catch {} finally { continue }'],
    ['a generator', 'function* all() { for (;;) yield 1 } for (const one of all()) one + 1'],
    ['recursion that branches', 'const f = (n) => (n === 0 ? 0 : f(n - 1) + f(n - 1)); return [f(60)]'],
    ['a catastrophic pattern', `return [/^(a+)+$/.test('a'.repeat(60) + 'b')]`],
    ['a pattern that looks back', String.raw`return ['a'.repeat(5000).replace(/(a*)*\1b/g, '')]`],
    ['a search without a hit', `return ['a'.repeat(3e6).indexOf('a'.repeat(1e6) + 'b')]`],
    [
      'JSON back and forth',
      `const t = JSON.stringify(Array.from({ length: 5000 }, (_, i) => ({ i }))); for (;;) JSON.stringify(JSON.parse(t))`,
    ],
    ['sorting', 'const a = new Float64Array(2e5); for (;;) a.sort()'],
    ['large numbers', 'const n = 3n ** 600000n; for (;;) n.toString()'],
    ['a join of nothing', `return [new Array(2 ** 32 - 1).join('')]`],
    ['copying', 'const a = new Uint8Array(4e6); for (;;) a.copyWithin(1, 0)'],
    ['filling', 'const a = new Uint8Array(4e6); for (;;) a.fill(7)'],
    ['slices', `const s = 'a'.repeat(4e6); for (;;) s.slice(1)`],
    ['normalizing', String.raw`const s = '\u0344'.repeat(2e5); for (;;) s.normalize('NFD')`],
    ['a getter on a row', 'return [{ get id() { for (;;); } }]'],
    ['toJSON on a row', 'return [{ toJSON() { for (;;); } }]'],
    ['a proxy for rows', 'return new Proxy([], { get: (_, name) => (name === "length" ? 2 ** 53 - 1 : 1) })'],
    ['a description of an error', 'throw { toJSON() { for (;;); } }'],
    [
      'a message that is asked for',
      'throw Object.defineProperty(new Error(), "message", { get() { for (;;); } })',
    ],
    ['a console that is asked for', 'console.log({ toJSON() { for (;;); } })'],
    ['code made of text', `return [new Function('for (;;);')()]`],
  ])('%s', async (_, body) => {
    const startedMs = performance.now()
    expect(await attempt(body)).toMatchObject({
      code: 'script_time',
      message: expect.stringMatching(/0\.1 s/),
    })
    // The meter counts turns; a loaded machine makes fewer of them in a second.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect(await nextTenant()).toEqual(untouched)
  })
})

describe('what takes memory without end is stopped', () => {
  it.each([
    ['rows', 'const made = []; for (;;) made.push({ n: made.length })'],
    ['a billion rows', 'return new Array(1e9)'],
    ['a billion rows, filled', 'return new Array(1e9).fill(1)'],
    ['large buffers', 'const made = []; for (;;) made.push(new ArrayBuffer(1e6))'],
    ['large strings', `const made = []; for (;;) made.push('x'.repeat(1e6) + made.length)`],
    ['a join', `return [new Array(1e6).join('abcdefghijklmnop')]`],
    ['typed arrays', 'return [new Float64Array(1e8).length]'],
    ['closures', 'let f = () => 0; for (;;) { const g = f; f = () => g }'],
    [
      'regular expressions',
      String.raw`const made = []; for (;;) made.push(new RegExp('a{1,100}'.repeat(50) + made.length))`,
    ],
    ['symbols', 'const made = []; for (;;) made.push(Symbol("x".repeat(100) + made.length))'],
    ['a generator', 'function* all() { for (;;) yield {} } return [...all()]'],
    ['numbers', 'const made = []; for (;;) made.push(1n << 900000n)'],
  ])('%s', async (_, body) => {
    expect(await attempt(body)).toMatchObject({
      code: 'script_memory',
      message: expect.stringMatching(/8 MB/),
    })
    expect(await nextTenant()).toEqual(untouched)
  })
})

describe('what is nested without end is stopped', () => {
  it.each([
    ['calls', 'const f = () => f() + 1; return [f()]'],
    ['calls through the language', 'const f = () => [1].map(f); return f()'],
    ['text made of itself', 'const o = { toString: () => `${o}` }; return [`${o}`]'],
    ['JSON to read', `return [JSON.parse('['.repeat(1e6))]`],
    ['rows', 'let made = []; for (let i = 0; i < 1e5; i++) made = [made]; return made'],
    ['code', `return [eval('('.repeat(1e5))]`],
    ['a pattern', `return [new RegExp('(?:'.repeat(1e5) + ')'.repeat(1e5))]`],
    ['getters', 'const o = { get a() { return this.a } }; return [o.a]'],
    ['proxies', 'let p = {}; for (let i = 0; i < 1e4; i++) p = new Proxy(p, {}); return [p.a]'],
  ])('%s', async (_, body) => {
    const made = await attempt(body)
    expect(made).toHaveProperty('code')
    expect(made).toMatchObject({ message: expect.stringMatching(/nested too deeply|stack overflow/) })
    expect(await nextTenant()).toEqual(untouched)
  })
})

describe('what reaches for the host finds the sandbox', () => {
  const world = `(typeof process + typeof require + typeof fetch + typeof Deno + typeof WebAssembly).replaceAll('undefined', '')`
  it.each([
    ['the constructor of the rows', `return [rows.constructor.constructor("return ${world}")()]`],
    ['the constructor of the context', `return [context.constructor.constructor("return ${world}")()]`],
    ['the constructor of the console', `return [console.log.constructor("return ${world}")()]`],
    [
      'the constructor of an async function',
      `return [Object.getPrototypeOf((async () => 0).constructor)("return ${world}")()]`,
    ],
    ['an indirect eval', `return [(0, eval)("${world}")]`],
    [
      'the caller',
      `const f = function () { return typeof f.caller }; try { return [f() === 'undefined' || f() === 'object' ? '' : 'caller'] } catch { return [''] }`,
    ],
    [
      'this',
      `return [function () { return typeof this }() + typeof (0, eval)('this').process === 'undefinedundefined' ? '' : 'this']`,
    ],
    ['the stack of an error', `return [/(node:|file:|\\.ts|\\/)/.test(new Error().stack) ? 'host' : '']`],
    [
      'a prepared stack',
      `Error.prepareStackTrace = (_, frames) => frames[0]?.getThis?.(); return [typeof new Error().stack === 'string' ? '' : 'frames']`,
    ],
    [
      'a blocked thread',
      `try { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9) } catch {} return ['']`,
    ],
    ['a module', `import('fs').then((fs) => { globalThis.mark = fs }); return [globalThis.mark ? 'fs' : '']`],
    ['a job for later', `Promise.resolve().then(() => { for (;;); }); return ['']`],
    ['a finalizer', `new FinalizationRegistry(() => { for (;;); }).register({}, 1); return ['']`],
  ])('%s', async (_, body) => {
    expect(await attempt(body)).toEqual({ rows: [''] })
    expect(await nextTenant()).toEqual(untouched)
  })
})

describe('what changes the language changes it for one batch', () => {
  it.each([
    [
      'prototypes',
      'Object.prototype.mark = 1; Array.prototype.sort = () => [7]; String.prototype.padStart = () => "z"; return []',
    ],
    [
      'a key that is a prototype',
      `return [JSON.parse('{"__proto__":{"mark":1},"constructor":{"prototype":{"mark":1}}}')]`,
    ],
    [
      'globals',
      'globalThis.mark = 1; globalThis.JSON = { stringify: () => "{}", parse: () => 1 }; return []',
    ],
    ['JSON', 'JSON.stringify = () => "!"; JSON.parse = () => { throw 1 }; return []'],
    ['toJSON of everything', 'Object.prototype.toJSON = () => [{ __proto__: { mark: 1 } }]; return [{}]'],
    ['what is an array', 'Array.isArray = () => true; return []'],
    [
      'what is an error',
      'Object.defineProperty(Error, Symbol.hasInstance, { value: () => true }); throw { name: {}, message: Symbol(), get stack() { throw 1 } }',
    ],
    [
      'conversions',
      'console.log({ [Symbol.toPrimitive]: () => ({}) }); return [{ [Symbol.toPrimitive]() { throw 1 }, id: 1 }]',
    ],
    [
      'species',
      'class Rows extends Array { static get [Symbol.species]() { return Object } } return new Rows()',
    ],
    ['a thrown getter', 'return [{ get id() { throw new Proxy({}, { get() { throw 1 } }) } }]'],
    [
      'frozen globals',
      'for (const name of Object.getOwnPropertyNames(globalThis)) try { Object.freeze(globalThis[name]) } catch {} return []',
    ],
  ])('%s', async (_, body) => {
    const made = await attempt(body)
    expect('code' in made ? made.code : 'rows').toMatch(/^(rows|script_threw|script_depth)$/)
    expect(await nextTenant()).toEqual(untouched)
  })
})
