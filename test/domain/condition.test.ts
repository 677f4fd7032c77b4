import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparisons, conditionText, holds, pathsIn, type Condition } from '#src/domain/condition.ts'
import { parseCondition } from '#src/domain/condition-parser.ts'
import { conditionFault } from '#src/domain/condition-types.ts'
import type { Json } from '#src/domain/json.ts'
import { cases } from '#test/support/long-form.ts'

const scope = {
  params: { mode: 'full', limit: 5, dry: false, since: '2024-02-29' },
  outputs: { read: { rowsOut: 1000, state: 'succeeded', names: ['a', 'b'] }, call: { body: null } },
  run: { id: 'run_1', scheduledFor: null },
}

function parsed(text: string): Condition {
  const read = parseCondition(text)
  if (!read.ok) throw new Error(read.message)
  return read.condition
}

describe('a condition', () => {
  it.each([
    ['params.mode == "full"', true],
    ["params.mode == 'full'", true],
    ["params.mode == 'it''s'", false],
    ['params.mode != "full"', false],
    ['params.limit >= 5 and params.limit < 6', true],
    ['params.limit == 5.0', true],
    ['params.limit > -1e3', true],
    ['params.dry', false],
    ['not params.dry', true],
    ['not not params.dry', false],
    ['params.dry or outputs.read.rowsOut > 10', true],
    ['params.dry and params.dry or not params.dry', true],
    ['params.dry and (params.dry or not params.dry)', false],
    ['params.mode in ["delta", "full"]', true],
    ['params.mode not in ["delta", "full"]', false],
    ['params.mode in []', false],
    ['"a" in outputs.read.names', true],
    ['"c" in outputs.read.names', false],
    ['"a" in outputs.read.state', false],
    ['outputs.read.names.length == 2', true],
    ['outputs.read.names == outputs.read.names', false],
    ['outputs.call.body == null', true],
    ['outputs.nothing.at.all == null', true],
    ['outputs.nothing.at.all < 5', false],
    ['outputs.nothing.at.all', false],
    ['outputs.read.rowsOut', false],
    ['outputs.read.rowsOut == "1000"', false],
    ['"10" < "9"', true],
    ['params.since < "2024-03-01"', true],
    ['run.scheduledFor != null', false],
    ['true', true],
  ])('%s is %j', (text, expected) => expect(holds(parsed(text), scope)).toBe(expected))

  it.each([
    ['', /expected a name, a value or \(, found its end/],
    ['params.a = 1', /found "=" at character 10: did you mean ==\?/],
    ['params.a && params.b', /did you mean and\?/],
    ['params.a AND params.b', /did you mean and\?/],
    ['!params.a', /did you mean not\?/],
    ['${params.a} == 1', /without \$\{/],
    ['(params.a', /expected \), found its end/],
    ['params.a in "x"', /expected a list/],
    ['params.a in ["x"', /expected , or \]/],
    ['params.a not 5', /expected in after not/],
    ['1 < 2 < 3', /expected and, or/],
    ['"unended', /cannot be read from "\\"unended" on/],
    ['"\\q" == 1', /escape/],
    ['5abc == 1', /cannot be read from "5abc/],
    ['1e999 > 1', /too large/],
    ['params.a + 1', /found "\+"/],
    ['('.repeat(50) + 'true' + ')'.repeat(50), /nested deeper/],
    ['not '.repeat(200) + 'true', /nested deeper/],
    [`"${'x'.repeat(2_000)}" == "x"`, /at most 2000 characters/],
  ])('%j is refused in words', (text, message) => {
    const read = parseCondition(text)
    expect(read.ok ? 'read' : read.message).toMatch(message)
  })

  it('names what it uses', () => {
    expect(pathsIn(parsed('params.a and not (outputs.b.c in [item.d, 1]) or run.id == "x"'))).toEqual([
      ['params', 'a'],
      ['outputs', 'b', 'c'],
      ['item', 'd'],
      ['run', 'id'],
    ])
  })

  const parameters = {
    mode: { type: 'text' as const },
    limit: { type: 'integer' as const },
    dry: { type: 'boolean' as const },
  }
  it.each([
    ['params.limit', /params\.limit is a number, where something true or false belongs/],
    ['not params.mode', /is a text, where/],
    ['params.dry and params.limit', /params\.limit is a number, where/],
    ['params.limit == "5"', /is a number and "5" is a text: they are never equal/],
    ['params.mode in ["a", 5]', /they are never equal/],
    ['params.dry < 5', /nothing is less or more than/],
    ['params.limit > null', /nothing is less or more than/],
    ['"a" in params.mode', /no list/],
    ['"yes"', /where something true or false belongs/],
  ])('%s can mean nothing', (text, message) => {
    expect(conditionFault(parsed(text), parameters)).toMatch(message)
  })

  it.each([
    'params.dry',
    'params.limit == null',
    'outputs.a.b',
    'params.mode in outputs.a.b',
    'outputs.a > params.limit',
  ])('%s can mean something', (text) => expect(conditionFault(parsed(text), parameters)).toBeUndefined())

  const segment = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/)
  const path = fc
    .tuple(
      fc.constantFrom('params', 'outputs', 'run', 'item', 'order', 'nothing'),
      fc.array(segment, { maxLength: 3 }),
    )
    .map(([root, rest]) => ({ op: 'path' as const, path: [root, ...rest] }))
  const value = fc
    .oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
    )
    .map((drawn) => ({ op: 'value' as const, value: Object.is(drawn, -0) ? 0 : drawn }))
  const nothing = fc.constant<Condition>({ op: 'value', value: null })
  const { tree } = fc.letrec<{ tree: Condition }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      path,
      value,
      nothing,
      tie('tree').map((of): Condition => ({ op: 'not', of })),
      fc
        .tuple(
          fc.constantFrom('and' as const, 'or' as const),
          fc.array(tie('tree'), { minLength: 2, maxLength: 3 }),
        )
        .map(([op, of]): Condition => ({ op, of })),
      fc
        .tuple(fc.constantFrom(...comparisons), tie('tree'), tie('tree'))
        .map(([op, left, right]): Condition => ({ op, left, right })),
      fc
        .tuple(tie('tree'), fc.oneof(path, fc.array(tie('tree'), { maxLength: 3 })))
        .map(([left, list]): Condition => ({ op: 'in', left, list })),
    ),
  }))

  it('as text is read as the same tree', () => {
    fc.assert(
      fc.property(tree, (drawn) => {
        const text = conditionText(drawn)
        fc.pre(text.length <= 2_000)
        expect(parsed(text)).toEqual(drawn)
        expect(conditionText(parsed(text))).toBe(text)
      }),
      cases(500),
    )
  })

  it('holds or does not, whatever the values, and means the opposite with not', () => {
    const values = fc.dictionary(
      fc.constantFrom('params', 'outputs', 'run', 'item'),
      fc.jsonValue() as fc.Arbitrary<Json>,
    )
    fc.assert(
      fc.property(tree, values, (drawn, given) => {
        const before = JSON.stringify([drawn, given])
        expect(holds({ op: 'not', of: drawn }, given)).toBe(!holds(drawn, given))
        expect(conditionFault(drawn, {}) ?? '').toBeTypeOf('string')
        expect(JSON.stringify([drawn, given])).toBe(before)
      }),
      cases(500),
    )
  })

  it('is read or refused, whatever the text', () => {
    const word = fc.constantFrom(
      'params.a',
      'and',
      'or',
      'not',
      'in',
      '(',
      ')',
      '[',
      ']',
      ',',
      '==',
      '<',
      '"x"',
      '5',
      'null',
      '$',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          const read = parseCondition(text)
          if (read.ok) expect(parsed(conditionText(read.condition))).toEqual(read.condition)
          else expect(read.message).not.toBe('')
        },
      ),
      cases(500),
    )
  })
})
