import * as z from 'zod'
import { parseAddress, type Address } from './address.ts'

/** Mapped forms (`::ffff:192.0.2.1`) are the IPv4 address that they hold: one client has one address. */
const mappedPrefix = 0xffffn
type Range = Address & { prefix: number }

function addressOf(text: string): Address | undefined {
  const address = parseAddress(text)
  return address?.family === 6 && address.bits >> 32n === mappedPrefix
    ? { family: 4, bits: address.bits & 0xffffffffn }
    : address
}

const widthOf = ({ family }: Address): number => (family === 4 ? 32 : 128)

function parseRange(text: string): Range | undefined {
  const [, host = '', digits] = /^([0-9a-f:.]{2,45})(?:\/(\d{1,3}))?$/i.exec(text) ?? []
  const plain = parseAddress(host)
  const address = addressOf(host)
  if (!plain || !address) return undefined
  // The prefix counts in the form that was written.
  const given = digits === undefined ? widthOf(plain) : Number(digits)
  const prefix = given - (widthOf(plain) - widthOf(address))
  return prefix < 0 || prefix > widthOf(address) ? undefined : { ...address, prefix }
}

function holds(range: Range, address: Address): boolean {
  if (range.family !== address.family) return false
  const shift = BigInt(widthOf(range) - range.prefix)
  return range.bits >> shift === address.bits >> shift
}

/** Whether the client's address, as the platform saw it, lies in one of the ranges. What cannot be read lies in none. */
export function isInRanges(address: string | undefined, ranges: readonly string[]): boolean {
  const client = addressOf(address ?? '')
  if (!client) return false
  return ranges.some((text) => {
    const range = parseRange(text)
    return range !== undefined && holds(range, client)
  })
}

/** One address, or a range in CIDR notation whose bits after the prefix are zero: `203.0.113.7`, `2001:db8::/32`. */
export const addressRange = z.string().refine(
  (text) => {
    const range = parseRange(text)
    if (!range) return false
    const rest = BigInt(widthOf(range) - range.prefix)
    return (range.bits >> rest) << rest === range.bits
  },
  { error: 'must be an address or a range such as 203.0.113.0/24 or 2001:db8::/32' },
)
