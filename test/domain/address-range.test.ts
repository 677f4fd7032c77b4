import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressRange, isInRanges } from '#src/domain/address-range.ts'

describe('a range of addresses', () => {
  it.each<[address: string | undefined, ranges: string[], inside: boolean]>([
    ['203.0.113.7', ['203.0.113.0/24'], true],
    ['203.0.114.7', ['203.0.113.0/24'], false],
    ['203.0.113.7', ['203.0.113.7'], true],
    ['203.0.113.8', ['203.0.113.7'], false],
    ['::ffff:203.0.113.7', ['203.0.113.0/24'], true],
    ['::ffff:cb00:7107', ['203.0.113.0/24'], true],
    ['203.0.113.7', ['::ffff:203.0.113.0/120'], true],
    ['2001:db8::1', ['2001:db8::/32'], true],
    ['2001:db9::1', ['2001:db8::/32'], false],
    ['2001:DB8:0:0::1', ['2001:db8::/64'], true],
    ['10.0.0.1', ['0.0.0.0/0'], true],
    ['::1', ['0.0.0.0/0'], false],
    ['10.0.0.1', ['::/0'], false],
    ['10.0.0.1', ['192.0.2.0/24', '10.0.0.0/8'], true],
    ['10.0.0.1', [], false],
    [undefined, ['0.0.0.0/0'], false],
    ['unknown', ['0.0.0.0/0', '::/0'], false],
    ['10.0.0.1, 203.0.113.7', ['0.0.0.0/0'], false],
    ['010.0.0.1', ['10.0.0.0/8', '8.0.0.0/8'], false],
    ['10.0.0.1', ['nonsense', '10.0.0.0/99'], false],
  ])('%s in %j: %s', (address, ranges, inside) => {
    expect(isInRanges(address, ranges)).toBe(inside)
  })

  it('holds what Node’s own implementation says it holds', () => {
    const octets = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(octets, octets, fc.integer({ min: 1, max: 32 }), (base, other, prefix) => {
        const list = new BlockList()
        list.addSubnet(base.join('.'), prefix, 'ipv4')
        for (const address of [base.join('.'), other.join('.')])
          expect(isInRanges(address, [`${base.join('.')}/${prefix}`])).toBe(list.check(address))
      }),
    )
  })

  it.each([
    ['203.0.113.0/24', true],
    ['203.0.113.7', true],
    ['2001:db8::/32', true],
    ['0.0.0.0/0', true],
    ['203.0.113.7/24', false],
    ['203.0.113.0/33', false],
    ['203.0.113.0/', false],
    ['203.0.113/24', false],
    ['2001:db8::1/32', false],
    ['example.com', false],
    ['*', false],
    ['', false],
  ])('may be written so: %s (%s)', (text, good) => {
    expect(addressRange.safeParse(text).success).toBe(good)
  })
})
