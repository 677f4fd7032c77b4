import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parameterFaults, resolveParameters, type Parameter } from '#src/domain/parameters.ts'

const given = (parameter: Parameter, value: unknown) => {
  const resolved = resolveParameters({ parameters: { p: parameter } }, { p: value })
  return resolved.ok ? resolved.parameters['p'] : resolved.fields[0]?.message
}
const newYear = '2020-01-01T00:00:00Z'

describe('a parameter', () => {
  it.each<[Parameter, unknown, string]>([
    [{ type: 'integer', min: 1, max: 9 }, 0, 'must be 1 at least'],
    [{ type: 'integer', min: 1, max: 9 }, 10, 'must be 9 at most'],
    [{ type: 'number', max: 0.5 }, 0.51, 'must be 0.5 at most'],
    [{ type: 'date', min: '2020-01-01' }, '2019-12-31', 'must be 2020-01-01 at least'],
    [{ type: 'timestamp', max: newYear }, '2020-01-01T00:30:00-01:00', `must be ${newYear} at most`],
    [{ type: 'timestamp', min: newYear }, '2019-12-31 23:59:59', `must be ${newYear} at least`],
    [{ type: 'text', enum: ['full', 'delta'] }, 'ful', 'must be one of full, delta: did you mean full?'],
    [{ type: 'integer', enum: [1, 2] }, 3, 'must be one of 1, 2'],
    [{ type: 'integer', enum: [1, 2] }, '1', 'must be a whole number'],
    [{ type: 'date' }, '0000-01-01', 'must be a date such as 2001-12-31'],
  ])('%j refuses %j', (parameter, value, message) => expect(given(parameter, value)).toBe(message))

  it.each<[Parameter, unknown]>([
    [{ type: 'integer', min: 1, max: 9 }, 9],
    [{ type: 'date', min: '2020-01-01', max: '2020-01-01' }, '2020-01-01'],
    [{ type: 'timestamp', max: newYear }, '2020-01-01T01:00:00+02:00'],
    [{ type: 'timestamp', max: newYear }, '2020-01-01 00:00'],
    [{ type: 'text', enum: ['full', 'delta'] }, 'delta'],
    [{ type: 'boolean' }, false],
  ])('%j takes %j', (parameter, value) => expect(given(parameter, value)).toBe(value))

  it('without faults takes its own default', () => {
    const whole = fc.integer({ min: -5, max: 5 })
    const drawn = fc.record(
      {
        type: fc.constant('integer' as const),
        default: whole,
        min: whole,
        max: whole,
        enum: fc.array(whole, { minLength: 1 }),
      },
      { requiredKeys: ['type', 'default'] },
    )
    fc.assert(
      fc.property(drawn, (parameter) => {
        const faults = parameterFaults(parameter).map(({ key }) => key[0])
        const { ok } = resolveParameters({ parameters: { p: parameter } }, {})
        expect(ok || faults.length > 0).toBe(true)
        expect(ok && faults.includes('default')).toBe(false)
      }),
    )
  })
})
