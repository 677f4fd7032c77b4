import { BlockList, isIP } from 'node:net'

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { isPublicAddress, judgeHost } from '#src/domain/address.ts'

/** The list of the conventions, judged by Node's own implementation (whose IPv6 lists also hold mapped IPv4). */
const blocked = { 4: new BlockList(), 6: new BlockList() }
const isBlocked = (address: string) =>
  isIP(address) === 6 ? blocked[6].check(address, 'ipv6') : blocked[4].check(address, 'ipv4')
for (const [base, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  blocked[4].addSubnet(base, prefix, 'ipv4')
for (const [base, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  blocked[6].addSubnet(base, prefix, 'ipv6')

const octet = fc.integer({ min: 0, max: 255 })
const v4 = fc.tuple(octet, octet, octet, octet)
/** Random ones are nearly all public: draw the first two octets from where the ranges begin and end, too. */
const edgyV4 = fc.oneof(
  v4,
  fc.tuple(
    fc.constantFrom(0, 9, 10, 11, 100, 126, 127, 128, 169, 172, 192, 198, 203, 223, 224, 240, 255),
    fc.constantFrom(0, 15, 16, 17, 18, 19, 20, 31, 32, 51, 63, 64, 88, 113, 127, 128, 167, 168, 254, 255),
    fc.constantFrom(0, 2, 99, 100, 113, 255),
    octet,
  ),
)

describe('isPublicAddress', () => {
  it('says of every IPv4 address what the list says', () => {
    fc.assert(
      fc.property(edgyV4, (octets) => {
        const address = octets.join('.')
        expect([address, isPublicAddress(address)]).toEqual([address, !isBlocked(address)])
      }),
      { numRuns: 3000 },
    )
  })

  it('never lets a listed IPv6 address pass, and only global unicast', () => {
    const starts = [
      '0',
      '64',
      '100',
      '2001',
      '2002',
      '2606',
      '2a00',
      'fc00',
      'fdff',
      'fe80',
      'febf',
      'ff02',
      '3fff',
    ]
    const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16))
    const v6 = fc.tuple(
      fc.oneof(fc.constantFrom(...starts), group),
      fc.oneof(fc.constantFrom('0', 'db8', 'ff9b', '1ff', '200', '4700'), group),
      fc.array(fc.oneof(fc.constant('0'), fc.constant('ffff'), group), { minLength: 6, maxLength: 6 }),
    )
    fc.assert(
      fc.property(v6, ([first, second, rest]) => {
        const address = [first, second, ...rest].join(':')
        const isGlobal = Number.parseInt(first, 16) >> 13 === 1
        // 3fff::/20 is for documentation since the list was made.
        const isDocumentation = first === '3fff' && Number.parseInt(second, 16) < 0x1000
        const expected = isGlobal && !isBlocked(address) && !isDocumentation
        expect([address, isPublicAddress(address)]).toEqual([address, expected])
      }),
      { numRuns: 3000 },
    )
  })

  it('is false for what is no address', () => {
    for (const text of [
      '',
      'example.org',
      '1.2.3',
      '256.1.1.1',
      '01.2.3.4',
      '1:2',
      ':::',
      '1::2::3',
      '2606:::1',
      'g::1',
    ])
      expect([text, isPublicAddress(text)]).toEqual([text, false])
  })
})

describe('judgeHost', () => {
  it.each([
    ['db.example.org', 'db.example.org'],
    ['DB.Example.ORG.', 'db.example.org'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['8.8.8.8', '8.8.8.8'],
    ['134744072', '8.8.8.8'],
    ['2606:4700:4700::1111', '2606:4700:4700::1111'],
    ['[2606:4700:4700:0::1111]', '2606:4700:4700::1111'],
    ['notlocal.example', 'notlocal.example'],
    ['mylocalhost.com', 'mylocalhost.com'],
  ])('allows %s as %s', (text, host) => {
    expect(judgeHost(text)).toEqual({ ok: true, host })
  })

  it.each([
    'localhost',
    'LOCALHOST.',
    'api.localhost',
    'printer.local',
    'metadata.google.internal',
    'metadata.google.internal.',
    'metadata',
    'instance-data',
    'db',
    'router.lan',
    'nas.home.arpa',
    'x.localdomain',
    'ⓛocalhost',
  ])('refuses the private name %s', (text) => {
    expect(judgeHost(text)).toEqual({ ok: false, reason: 'private_name' })
  })

  it.each([
    '127.0.0.1',
    '127.0.0.1.',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '0177.0.0.1',
    '１２７.0.0.1',
    '0',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.10',
    '169.254.169.254',
    '100.100.100.200',
    '::',
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '[::ffff:8.8.8.8]',
    '::127.0.0.1',
    '64:ff9b::808:808',
    '2002:7f00:1::',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
  ])('refuses the private address %s', (text) => {
    expect(judgeHost(text)).toEqual({ ok: false, reason: 'private_address' })
  })

  it.each([
    '',
    '.',
    ' ',
    'a b',
    'user@host.example',
    'host.example/path',
    'host.example:5432',
    'host.example#x',
    'host.example?x',
    'host.example\\x',
    '/var/run/postgresql',
    '127.0.0.1%00.example.org',
    'fe80::1%eth0',
    '256.256.256.256',
    '1.2.3.4.5',
    '[::1',
    '[::1]x',
    '::1]',
    `${'a'.repeat(64)}.${'b'.repeat(200)}`,
  ])('refuses the malformed %j', (text) => {
    expect(judgeHost(text)).toEqual({ ok: false, reason: 'malformed' })
  })

  it('gives only hosts that judge the same when judged again', () => {
    const piece = fc.constantFrom(
      '0x7f',
      '127',
      '0',
      '1',
      '10',
      '.',
      ':',
      '::',
      '[',
      ']',
      'a',
      'local',
      'ffff',
      '。',
      '%',
    )
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const verdict = judgeHost(pieces.join(''))
        fc.pre(verdict.ok)
        expect(judgeHost(verdict.host)).toEqual(verdict)
        expect(isIP(verdict.host) !== 0 && isBlocked(verdict.host)).toBe(false)
      }),
      { numRuns: 600 },
    )
  })

  it('lets the local stack reach its own machine, still only by a well-formed host', () => {
    expect(judgeHost('localhost', { allowPrivate: true })).toEqual({ ok: true, host: 'localhost' })
    expect(judgeHost('127.1', { allowPrivate: true })).toEqual({ ok: true, host: '127.0.0.1' })
    expect(judgeHost('/tmp', { allowPrivate: true })).toEqual({ ok: false, reason: 'malformed' })
  })
})
