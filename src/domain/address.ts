/**
 * Which hosts a tenant may make Weir connect to: public ones. Names are judged before they are resolved, and the
 * addresses that they resolve to are judged again, because a public name may point at a private address.
 */
export type HostVerdict = { ok: true; host: string } | { ok: false; reason: HostReason }
type HostReason = 'malformed' | 'private_name' | 'private_address'

/** Names that only mean something inside a network: our own, a cloud's, or somebody's home. */
const privateZones = [
  'localhost',
  'localdomain',
  'local',
  'internal',
  'intranet',
  'lan',
  'home.arpa',
  'in-addr.arpa',
  'ip6.arpa',
]

/**
 * The host as the network will see it (lower case, punycode, canonical address, no trailing dot), or why it is
 * refused. `allowPrivate` is for the local stack, whose databases are on this machine.
 */
export function judgeHost(text: string, options: { allowPrivate?: boolean } = {}): HostVerdict {
  const host = normalizeHost(text)
  if (host === undefined) return { ok: false, reason: 'malformed' }
  if (options.allowPrivate) return { ok: true, host }
  if (parseAddress(host) !== undefined) {
    return isPublicAddress(host) ? { ok: true, host } : { ok: false, reason: 'private_address' }
  }
  const isPrivate =
    // A name without a dot (`metadata`, `db`) is completed by the resolver's search list.
    !host.includes('.') || privateZones.some((zone) => host === zone || host.endsWith(`.${zone}`))
  return isPrivate ? { ok: false, reason: 'private_name' } : { ok: true, host }
}

/** False for what is not an address at all, so that nothing unread passes. */
export function isPublicAddress(text: string): boolean {
  const address = parseAddress(text)
  if (!address) return false
  if (address.family === 4) return !privateV4.some((range) => holds(range, address.bits, 32n))
  // Only 2000::/3 is given out for global use; ::1, fc00::/7, fe80::/10, ::ffff:0:0/96, 64:ff9b::/96 lie outside it.
  return holds(globalV6, address.bits, 128n) && !privateV6.some((range) => holds(range, address.bits, 128n))
}

export type Address = { family: 4 | 6; bits: bigint }
type Range = { bits: bigint; prefix: bigint }

const range = (text: string): Range => {
  const [base = '', prefix = ''] = text.split('/')
  return { bits: parseAddress(base)?.bits ?? 0n, prefix: BigInt(prefix) }
}
const holds = (within: Range, bits: bigint, width: bigint): boolean =>
  bits >> (width - within.prefix) === within.bits >> (width - within.prefix)

const privateV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map(range)

const globalV6 = range('2000::/3')
const privateV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'].map(range)

/** An address in canonical form only; `normalizeHost` brings the other spellings (hex, decimal, short) to it. */
export function parseAddress(host: string): Address | undefined {
  if (host.includes(':')) {
    const bits = parseV6(host)
    return bits === undefined ? undefined : { family: 6, bits }
  }
  const bits = parseV4(host)
  return bits === undefined ? undefined : { family: 4, bits }
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return
  const [head, tail] = halves.map(groupsOf)
  if (!head || (halves.length === 2 && !tail)) return
  const given = head.length + (tail?.length ?? 0)
  if (tail ? given > 7 : given !== 8) return
  const groups = [...head, ...Array.from({ length: 8 - given }, () => 0n), ...(tail ?? [])]
  return groups.reduce((bits, group) => (bits << 16n) | group, 0n)
}

function groupsOf(text: string): bigint[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const v4 = parts.at(-1)?.includes('.') ? parseV4(parts.pop() ?? '') : undefined
  if (!parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return
  const groups = parts.map((part) => BigInt(`0x${part}`))
  return v4 === undefined ? groups : [...groups, v4 >> 16n, v4 & 0xffffn]
}

/** The URL parser knows every spelling of a host: it is the one judge, so that no second reading can differ. */
function normalizeHost(text: string): string | undefined {
  const trimmed = text.replace(/\.$/, '')
  if (trimmed === '' || trimmed.length > 253 || /[\s/\\?#@%]/.test(trimmed)) return
  const isV6 = trimmed.includes(':')
  const bracketed = isV6 && !trimmed.startsWith('[') ? `[${trimmed}]` : trimmed
  const url = URL.parse(`https://${bracketed}/`)
  if (!url || url.port !== '' || (isV6 && !/^\[[^\]]*\]$/.test(bracketed))) return
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return parseAddress(host) || host.split('.').every((label) => /^[a-z0-9_-]{1,63}$/.test(label))
    ? host
    : undefined
}
