import { expect, it } from 'vitest'

import { grammar } from '#test/support/grammar.ts'
import { answers, expected } from './fixtures/questions.ts'

it('parses in Node', async () => {
  expect(await answers(await grammar())).toEqual(expected)
})

it('starts with 48 MB of memory', async () => {
  const module = await grammar()
  const name = WebAssembly.Module.exports(module).find(({ kind }) => kind === 'memory')?.name ?? ''
  const stubs = Object.fromEntries(
    WebAssembly.Module.imports(module).map((wanted) => [wanted.name, () => 0] as const),
  )
  const { exports } = new WebAssembly.Instance(module, { a: stubs })
  expect((exports[name] as WebAssembly.Memory).buffer.byteLength).toBe(48 * 1024 * 1024)
})
