import { describe, expect, it } from 'vitest'
import { domainName, domainOfAddress, groupsOf, ownPath } from '#src/domain/sso.ts'

const own = 'https://weir.example.com'

describe('ownPath', () => {
  it.each([
    ['/', '/'],
    ['/runs?state=failed#last', '/runs?state=failed#last'],
    ['/a/../b', '/b'],
    ['/@evil.example', '/@evil.example'],
  ])('goes to %j', (path, expected) => {
    expect(ownPath(path, own)).toBe(expected)
  })

  it.each([
    '',
    'runs',
    '//evil.example',
    '/\\evil.example',
    '/a\\..\\evil',
    '/.//evil.example',
    '/a/..//evil.example',
    '/ evil',
    '/\nevil',
    '/\u2028',
    'https://weir.example.com/runs',
    '/v1/runs',
    '/v1',
    '/scim/v2/Users',
    '/jobs/run',
    `/${'x'.repeat(500)}`,
  ])('does not go to %j', (path) => {
    expect(ownPath(path, own)).toBeUndefined()
  })
})

describe('domains', () => {
  it.each([
    ['Example.COM', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    [' example.com. ', 'example.com'],
    ['com', undefined],
    ['localhost', undefined],
    ['8.8.8.8', undefined],
    ['a.internal', undefined],
    ['a_b.example.com', undefined],
    ['example.com/x', undefined],
  ])('writes %j as %j', (text, expected) => {
    expect(domainName(text)).toBe(expected)
  })

  it.each([
    ['ada@Example.com', 'example.com'],
    ['"a@evil.example"@example.com', 'example.com'],
    ['@example.com', undefined],
    ['example.com', undefined],
  ])('finds that of %j', (address, expected) => {
    expect(domainOfAddress(address)).toBe(expected)
  })
})

describe('groupsOf', () => {
  it.each<[unknown, string[]]>([
    [
      ['a', ' b ', 'a', 7, null, ''],
      ['a', 'b'],
    ],
    ['a, b', ['a', 'b']],
    [{ a: 1 }, []],
    [undefined, []],
  ])('reads %j', (claim, expected) => {
    expect(groupsOf(claim)).toEqual(expected)
  })

  it('reads no more than is sensible', () => {
    expect(groupsOf(Array.from({ length: 5_000 }, (_, i) => `g${i}`))).toHaveLength(2_000)
    expect(groupsOf(['x'.repeat(257)])).toEqual([])
  })
})
