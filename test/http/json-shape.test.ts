import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Problem } from '#src/domain/problem.ts'
import { refuseUnsafeJson } from '#src/http/json-shape.ts'

const said = (json: string): string | undefined => {
  try {
    refuseUnsafeJson(json)
    return undefined
  } catch (error) {
    return error instanceof Problem ? error.message : String(error)
  }
}

describe('a body of JSON', () => {
  it.each([
    ['{"a":1,"a":2}', '"a" twice'],
    ['{"a":1,"\\u0061":2}', '"a" twice'],
    ['{"a":1,"b":{"c":1,"c":1}}', '"c" twice'],
    ['[{"a":1},{"b":[{"x":1 , "x" :2}]}]', '"x" twice'],
    ['{"role":"viewer","role":"owner"}', '"role" twice'],
    ['{"__proto__":{"isAdmin":true}}', '__proto__'],
    ['{"a":{"\\u005f_proto__":1}}', '__proto__'],
    [`${'['.repeat(33)}${']'.repeat(33)}`, '32 levels'],
    [`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`, '32 levels'],
  ])('is refused: %s', (json, words) => {
    expect(said(json)).toContain(words)
  })

  it.each([
    '{"a":1,"b":{"a":1},"c":["a","a","a"]}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"{\\"a\\":1,\\"a\\":2}"}',
    '{"a":"__proto__","constructor":1}',
    `${'['.repeat(32)}${']'.repeat(32)}`,
    '"\\"a\\":"',
    '[]',
  ])('may be %s', (json) => {
    expect(said(json)).toBeUndefined()
  })

  it('is never refused when it was made by JSON.stringify, nor makes the reader fail when it is none', () => {
    expect.hasAssertions()
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (json) => {
        if (!json.includes('__proto__')) expect(said(json)).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'a') }),
        (text) => {
          const words = said(text)
          if (words !== undefined) expect(words).toMatch(/twice|levels/)
        },
      ),
    )
  })
})
