import type { Reader } from './leb128.ts'

const numbersAfter: Record<number, number> = {
  // br, br_if, call, call_indirect, return_call, return_call_indirect
  0x0c: 1,
  0x0d: 1,
  0x10: 1,
  0x11: 2,
  0x12: 1,
  0x13: 2,
  // local.get, .set, .tee, global.get, .set, table.get, .set
  0x20: 1,
  0x21: 1,
  0x22: 1,
  0x23: 1,
  0x24: 1,
  0x25: 1,
  0x26: 1,
  // memory.size, memory.grow, i32.const, i64.const
  0x3f: 1,
  0x40: 1,
  0x41: 1,
  0x42: 1,
  // ref.null, ref.func
  0xd0: 1,
  0xd2: 1,
}
/** After the prefix 0xfc: saturating conversions, then what works on memories and tables as a whole. */
const numbersAfterPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1]

/**
 * Reads over one instruction and gives its opcode, with 0xfc00 added to those of the prefix 0xfc. It knows WebAssembly 2.0
 * without vectors and refuses the rest.
 */
export function skipInstruction(reader: Reader): number {
  const opcode = reader.byte()
  if (opcode === 0xfc) {
    const second = reader.u32()
    const numbers = numbersAfterPrefix[second]
    if (numbers === undefined) throw new Error(`unknown instruction 0xfc ${second}`)
    for (let i = 0; i < numbers; i++) reader.skipNumber()
    return 0xfc00 | second
  }
  // block, loop, if: the type
  if (opcode >= 0x02 && opcode <= 0x04) reader.skipNumber()
  // br_table
  else if (opcode === 0x0e) for (let labels = reader.u32() + 1; labels > 0; labels--) reader.skipNumber()
  // select with its types
  else if (opcode === 0x1c) for (let types = reader.u32(); types > 0; types--) reader.byte()
  // loads and stores
  else if (opcode >= 0x28 && opcode <= 0x3e) {
    reader.skipNumber()
    reader.skipNumber()
  } else if (opcode === 0x43) reader.bytes(4)
  else if (opcode === 0x44) reader.bytes(8)
  else if (isPlain(opcode)) return opcode
  else {
    const numbers = numbersAfter[opcode]
    if (numbers === undefined) throw new Error(`unknown instruction 0x${opcode.toString(16)}`)
    for (let i = 0; i < numbers; i++) reader.skipNumber()
  }
  return opcode
}

/** Nothing follows the opcode: control, parametric and numeric instructions, ref.is_null. */
const isPlain = (opcode: number): boolean =>
  opcode === 0x00 ||
  opcode === 0x01 ||
  opcode === 0x05 ||
  opcode === 0x0b ||
  opcode === 0x0f ||
  opcode === 0x1a ||
  opcode === 0x1b ||
  (opcode >= 0x45 && opcode <= 0xc4) ||
  opcode === 0xd1
