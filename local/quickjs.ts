import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import { Reader, signed, unsigned } from './wasm/leb128.ts'
import { skipInstruction } from './wasm/instruction.ts'

export const quickjsModule = '@jitl/quickjs-wasmfile-release-sync/wasm'

/** 6 MB: its stack takes 5, and the rest is what an empty script needs. It grows with what the script makes. */
const pages = 96

const section = { type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 } as const
const op = {
  unreachable: 0x00,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  call: 0x10,
  localGet: 0x20,
  globalGet: 0x23,
  globalSet: 0x24,
  i64Const: 0x42,
  i64LessThan: 0x53,
  i64Subtract: 0x7d,
  i64ShiftRight: 0x88,
  i64OfU32: 0xad,
  prefix: 0xfc,
} as const
const bulk = { copy: 10, fill: 11 } as const
const i32 = 0x7f
const i64 = 0x7e
const nothing = 0x40

/**
 * QuickJS as WebAssembly, with a meter: the exported global `fuel` goes down by one in every turn of every loop and with
 * every 16 bytes that are copied or filled, and below zero the instance traps. What a script does between two looks at the
 * clock is bounded by nothing else, and on Cloudflare the clock stands still while it works. Its memory starts with 6 MB
 * instead of 16.
 */
export async function readQuickjs(): Promise<Uint8Array<ArrayBuffer>> {
  const file = createRequire(import.meta.url).resolve(quickjsModule)
  return metered(new Uint8Array(await readFile(file)))
}

export function metered(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  const sections = sectionsOf(wasm)
  const counts = countsOf(sections)
  const copy = counts.imported + counts.functions
  const fuel = counts.globals
  const meter: Meter = { fuel, copy, fill: copy + 1 }
  const body = new Map<number, number[] | Uint8Array>(sections)
  const append = (id: number, entries: readonly (readonly number[])[]) =>
    body.set(id, grown(sections, id, entries))
  append(section.type, [[0x60, 3, i32, i32, i32, 0]])
  append(section.function, [unsigned(counts.types), unsigned(counts.types)])
  append(section.global, [[i64, 1, op.i64Const, ...signed(2n ** 40n), op.end]])
  append(section.export, [[4, ...new TextEncoder().encode('fuel'), 3, ...unsigned(fuel)]])
  body.set(section.import, withMemoryOf(sections, pages))
  body.set(section.code, code(sections, meter))
  return written(body)
}

type Sections = ReadonlyMap<number, Uint8Array>
type Meter = { fuel: number; copy: number; fill: number }

function sectionsOf(wasm: Uint8Array): Sections {
  const reader = new Reader(wasm, 8)
  const found = new Map<number, Uint8Array>()
  while (!reader.isAtEnd()) {
    const id = reader.byte()
    found.set(id, reader.bytes(reader.u32()))
  }
  return found
}

const sectionOf = (sections: Sections, id: number): Uint8Array => {
  const found = sections.get(id)
  if (!found) throw new Error(`QuickJS has no section ${id}`)
  return found
}

function countsOf(sections: Sections) {
  const countOf = (id: number) => new Reader(sectionOf(sections, id)).u32()
  const imports = importsOf(sections)
  return {
    types: countOf(section.type),
    imported: imports.filter(({ kind }) => kind === 0).length,
    functions: countOf(section.function),
    globals: countOf(section.global) + imports.filter(({ kind }) => kind === 3).length,
  }
}

/** `at` is where what follows the kind begins. */
function importsOf(sections: Sections): { kind: number; at: number }[] {
  const reader = new Reader(sectionOf(sections, section.import))
  return Array.from({ length: reader.u32() }, () => {
    reader.bytes(reader.u32())
    reader.bytes(reader.u32())
    const kind = reader.byte()
    const { at } = reader
    if (kind === 0) reader.u32()
    else if (kind === 2) reader.limits()
    else throw new Error(`QuickJS imports something of kind ${kind}`)
    return { kind, at }
  })
}

function withMemoryOf(sections: Sections, initial: number): Uint8Array {
  const memory = importsOf(sections).find(({ kind }) => kind === 2)
  const bytes = Uint8Array.from(sectionOf(sections, section.import))
  const reader = new Reader(bytes, (memory?.at ?? 0) + 1)
  const { at } = reader
  reader.u32()
  if (!memory || reader.at - at !== 2) throw new Error('QuickJS imports no memory where one was expected')
  bytes.set([(initial & 127) | 128, initial >> 7], at)
  return bytes
}

/** The section with entries added to its end, so that no index that is in use moves. */
function grown(sections: Sections, id: number, entries: readonly (readonly number[])[]): number[] {
  const reader = new Reader(sectionOf(sections, id))
  const count = reader.u32()
  return [...unsigned(count + entries.length), ...reader.rest(), ...entries.flat()]
}

/** Every function with its loops metered, and the two that copy and fill memory for a price. */
function code(sections: Sections, meter: Meter): number[] {
  const reader = new Reader(sectionOf(sections, section.code))
  const count = reader.u32()
  const out = unsigned(count + 2)
  const add = (body: readonly number[]) => {
    out.push(...unsigned(body.length))
    for (const byte of body) out.push(byte)
  }
  for (let i = 0; i < count; i++) add(meteredBody(reader.bytes(reader.u32()), meter))
  add(forAPrice(meter, [op.prefix, bulk.copy, 0, 0]))
  add(forAPrice(meter, [op.prefix, bulk.fill, 0]))
  return out
}

function meteredBody(body: Uint8Array, meter: Meter): number[] {
  const reader = new Reader(body)
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32()
    reader.byte()
  }
  const out = [...body.subarray(0, reader.at)]
  const turn = spend(meter.fuel, [op.i64Const, 1])
  while (!reader.isAtEnd()) {
    const from = reader.at
    const opcode = skipInstruction(reader)
    if (opcode === ((op.prefix << 8) | bulk.copy)) out.push(op.call, ...unsigned(meter.copy))
    else if (opcode === ((op.prefix << 8) | bulk.fill)) out.push(op.call, ...unsigned(meter.fill))
    else for (let at = from; at < reader.at; at++) out.push(body[at] ?? 0)
    if (opcode === op.loop) out.push(...turn)
  }
  return out
}

/** A function of (to, from or value, bytes) that pays for the bytes and does what it is given. */
const forAPrice = ({ fuel }: Meter, does: readonly number[]): number[] => [
  0,
  ...spend(fuel, [op.localGet, 2, op.i64OfU32, op.i64Const, 4, op.i64ShiftRight]),
  op.localGet,
  0,
  op.localGet,
  1,
  op.localGet,
  2,
  ...does,
  op.end,
]

/** fuel -= price; if (fuel < 0) trap */
function spend(fuel: number, price: readonly number[]): number[] {
  const pay = [op.globalGet, ...unsigned(fuel), ...price, op.i64Subtract, op.globalSet, ...unsigned(fuel)]
  const isSpent = [op.globalGet, ...unsigned(fuel), op.i64Const, 0, op.i64LessThan]
  return [...pay, ...isSpent, op.if, nothing, op.unreachable, op.end]
}

function written(sections: ReadonlyMap<number, number[] | Uint8Array>): Uint8Array<ArrayBuffer> {
  const parts = [...sections].flatMap(([id, body]) => [[id, ...unsigned(body.length)], body])
  const wasm = new Uint8Array(8 + parts.reduce((sum, part) => sum + part.length, 0))
  wasm.set([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
  let at = 8
  for (const part of parts) {
    wasm.set(part, at)
    at += part.length
  }
  return wasm
}
