import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '#src/domain/json.ts'
import { isTemplate, namesIn, resolve, resolveText, valueAt } from '#src/domain/template.ts'

const scope = {
  params: { since: '2001-01-01', limit: 5, full: true },
  outputs: { call: { status: 200, body: { items: [{ id: 7 }, { id: 8 }], 'next-page': null } } },
  run: { id: 'run_1', scheduledFor: null },
  item: 'de',
}

describe('a template', () => {
  it.each<[Json, Json]>([
    ['${params.limit}', 5],
    ['${ params.limit }', 5],
    ['${params.full}', true],
    ['${outputs.call.body.items}', [{ id: 7 }, { id: 8 }]],
    ['${outputs.call.body.items.1.id}', 8],
    ['${outputs.call.body.items.length}', 2],
    ['${outputs.call.body.next-page}', null],
    ['${run.scheduledFor}', null],
    ['${item}', 'de'],
    ['/v1/${item}?limit=${params.limit}&all=${params.full}', '/v1/de?limit=5&all=true'],
    [' ${params.limit}', ' 5'],
    ['[${run.scheduledFor}]', '[]'],
    ['is ${outputs.call.body.items}', 'is [{"id":7},{"id":8}]'],
    ['$${params.limit}', '${params.limit}'],
    ['$${params.limit} is ${params.limit}', '${params.limit} is 5'],
    ['costs $5 {or} so', 'costs $5 {or} so'],
    [
      { a: ['${item}', { b: '${params.limit}' }], c: 1, d: null },
      { a: ['de', { b: 5 }], c: 1, d: null },
    ],
  ])('%j becomes %j', (value, expected) => expect(resolve(value, scope)).toEqual(expected))

  it('becomes text where a text is wanted', () => {
    expect(resolveText('${params.limit}', scope)).toBe('5')
    expect(resolveText('${run.scheduledFor}', scope)).toBe('')
  })

  it.each([
    ['${outputs.call.head.x}', /no \$\{outputs\.call\.head\.x\}: outputs\.call has no "head"/],
    ['${outputs.other.x}', /outputs has no "other"/],
    ['${params.limit.x}', /params\.limit has no "x"/],
    ['${params.constructor}', /params has no "constructor"/],
    ['${callback.url}', /nothing is named "callback"/],
    ['a ${params.}', /no name/],
    ['a ${', /no name/],
  ])('%j fails in words', (text, message) => {
    expect(() => resolve(text, scope)).toThrow(message)
  })

  it('names what it uses, and where', () => {
    expect(
      namesIn({ url: 'a/${params.x}/${item.id}', body: [1, '$${no}', '${bad name}'] }, ['call']),
    ).toEqual([
      { at: ['call', 'url'], name: ['params', 'x'] },
      { at: ['call', 'url'], name: ['item', 'id'] },
      { at: ['call', 'body', 2], bad: '${bad name}' },
    ])
    expect(isTemplate('$${x}')).toBe(false)
    expect(isTemplate('${x')).toBe(true)
  })

  it('without a name is itself, and one whole name is its value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string(), (value, text) => {
        const plain = text.replaceAll('{', '(')
        expect(resolve(plain, {})).toBe(plain)
        expect(resolve('${item}', { item: value as Json })).toBe(value)
      }),
    )
  })

  it('puts any text back that is written with its ${ doubled', () => {
    const pieces = fc.array(fc.constantFrom('${', '$', '{', '}', 'a', '.', ' '), { maxLength: 12 })
    fc.assert(
      fc.property(pieces, (drawn) => {
        const text = drawn.join('')
        expect(
          resolve(
            text.replaceAll('${', () => '$${'),
            {},
          ),
        ).toBe(text)
      }),
    )
  })

  it('never sees more than what values have of their own', () => {
    expect(valueAt({ outputs: {} }, ['outputs', '__proto__'])).toBeUndefined()
    expect(valueAt({ outputs: { a: 'text' } }, ['outputs', 'a', 'length'])).toBeUndefined()
    expect(resolve({ ['__proto__']: '${x}' }, { x: 1 })).toEqual(JSON.parse('{"__proto__": 1}'))
  })
})
