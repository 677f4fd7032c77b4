/** The checksum of zstd frames: the low half of XXH64 with seed 0, over data that arrives in pieces. */
export type Checksum = { add(data: Uint8Array): void; low(): number }

const prime1 = 0x9e3779b185ebca87n
const prime2 = 0xc2b2ae3d27d4eb4fn
const prime3 = 0x165667b19e3779f9n
const prime4 = 0x85ebca77c2b2ae63n
const prime5 = 0x27d4eb2f165667c5n
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)
const rotate = (value: bigint, bits: bigint): bigint => u64((value << bits) | (value >> (64n - bits)))
const round = (state: bigint, word: bigint): bigint => u64(rotate(u64(state + word * prime2), 31n) * prime1)

export function checksumOf(): Checksum {
  // Four lanes of low and high halves: 32-bit arithmetic is many times faster than BigInt in the loop over all data.
  const lanes = new Uint32Array(8)
  for (const [i, start] of [u64(prime1 + prime2), prime2, 0n, u64(-prime1)].entries()) {
    lanes[i * 2] = Number(start & 0xffffffffn)
    lanes[i * 2 + 1] = Number(start >> 32n)
  }
  const rest = new Uint8Array(32)
  let restLength = 0
  let total = 0

  const stripe = (view: DataView, at: number): void => {
    for (let lane = 0; lane < 8; lane += 2) {
      mixLane(lanes, lane, view.getUint32(at + lane * 4, true), view.getUint32(at + lane * 4 + 4, true))
    }
  }

  return {
    add(data) {
      total += data.length
      let at = 0
      if (restLength > 0) {
        at = Math.min(32 - restLength, data.length)
        rest.set(data.subarray(0, at), restLength)
        restLength += at
        if (restLength < 32) return
        stripe(new DataView(rest.buffer), 0)
        restLength = 0
      }
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
      for (; at + 32 <= data.length; at += 32) stripe(view, at)
      rest.set(data.subarray(at))
      restLength = data.length - at
    },
    low: () => finish(lanes, rest.subarray(0, restLength), total),
  }
}

function finish(lanes: Uint32Array, rest: Uint8Array, total: number): number {
  const laneAt = (i: number): bigint => (BigInt(lanes[i * 2 + 1] ?? 0) << 32n) | BigInt(lanes[i * 2] ?? 0)
  let hash = prime5
  if (total >= 32) {
    hash = u64(
      rotate(laneAt(0), 1n) + rotate(laneAt(1), 7n) + rotate(laneAt(2), 12n) + rotate(laneAt(3), 18n),
    )
    for (let i = 0; i < 4; i++) hash = u64((hash ^ round(0n, laneAt(i))) * prime1 + prime4)
  }
  hash = u64(hash + BigInt(total))
  const view = new DataView(rest.buffer, rest.byteOffset, rest.byteLength)
  let at = 0
  for (; at + 8 <= rest.length; at += 8) {
    hash = u64(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * prime1 + prime4)
  }
  if (at + 4 <= rest.length) {
    hash = u64(rotate(hash ^ u64(BigInt(view.getUint32(at, true)) * prime1), 23n) * prime2 + prime3)
    at += 4
  }
  for (; at < rest.length; at++) hash = u64(rotate(hash ^ u64(BigInt(rest[at] ?? 0) * prime5), 11n) * prime1)
  hash = u64((hash ^ (hash >> 33n)) * prime2)
  hash = u64((hash ^ (hash >> 29n)) * prime3)
  return Number((hash ^ (hash >> 32n)) & 0xffffffffn)
}

/** lane = rotate(lane + word * prime2, 31) * prime1, in halves. */
function mixLane(lanes: Uint32Array, lane: number, wordLow: number, wordHigh: number): void {
  const low2 = 0x27d4eb4f
  const high2 = 0xc2b2ae3d
  const low1 = 0x85ebca87
  const high1 = 0x9e3779b1
  const sumLow = (lanes[lane] ?? 0) + (Math.imul(wordLow, low2) >>> 0)
  const sumHigh =
    (lanes[lane + 1] ?? 0) +
    highOfProduct(wordLow, low2) +
    (Math.imul(wordLow, high2) >>> 0) +
    (Math.imul(wordHigh, low2) >>> 0) +
    (sumLow > 0xffffffff ? 1 : 0)
  const a = sumLow >>> 0
  const b = sumHigh >>> 0
  const low = ((a << 31) | (b >>> 1)) >>> 0
  const high = ((b << 31) | (a >>> 1)) >>> 0
  lanes[lane] = Math.imul(low, low1)
  lanes[lane + 1] = highOfProduct(low, low1) + (Math.imul(low, high1) >>> 0) + (Math.imul(high, low1) >>> 0)
}

/** The upper 32 bits of the 64-bit product of two unsigned 32-bit numbers. */
function highOfProduct(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = (middle & 0xffff) + aLow * bHigh
  return (aHigh * bHigh + Math.floor(middle / 65_536) + Math.floor(carry / 65_536)) >>> 0
}
