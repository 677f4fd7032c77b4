import type { ParquetParsers, SchemaTree } from 'hyparquet'
import { assembleLists, assembleNested } from 'hyparquet/src/assemble.js'
import type { ColumnType } from '#src/domain/column.ts'
import { roomForText } from '../strings.ts'
import { dateText, timestampText } from '../time.ts'
import type { ChunkPages } from './chunk.ts'
import type { LeafColumn } from './columns.ts'
import { bodyOf } from './flat.ts'
import type { ColumnCursor } from './flat.ts'
import { openDictionary, openPage, valuesIn } from './page.ts'
import type { LeafShape, Page } from './page.ts'
import type { Sink } from './sink.ts'

/** A nested column is built as objects for a whole row group, so it may not be large. */
const maxValues = 2_000_000

export type NestedLeaf = LeafColumn & { pages: ChunkPages; values: number; codec: string }

/** Lists, maps and structs, each row as its JSON. */
export function openNested(name: string, node: SchemaTree, leaves: NestedLeaf[], rows: number): ColumnCursor {
  let all: unknown[] | undefined
  let at = 0

  const load = async (): Promise<unknown[]> => {
    const data = new Map<string, unknown[]>()
    const depth = Math.max(...leaves.map((leaf) => leaf.path.length))
    const values = leaves.reduce((sum, leaf) => sum + leaf.values, 0)
    if (values * depth > maxValues) throw new Error('it is nested and too large; leave it out of the columns')
    for (const leaf of leaves) data.set(leaf.node.path.join('.'), await readLeaf(leaf))
    assembleNested(data, node, noParsers)
    const column = data.get(node.path.join('.'))
    if (column?.length !== rows) throw new Error('its rows do not add up')
    return column
  }

  return {
    async skip(count) {
      at += count
    },
    async read(count) {
      all ??= await load()
      const values = roomForText(count)
      let nulls: Uint8Array | undefined
      for (let i = 0; i < count; i++) {
        const value = all[at + i]
        const isNull = value === null || value === undefined
        values[i] = isNull ? '' : JSON.stringify(value, undefinedAsNull)
        if (isNull) (nulls ??= new Uint8Array(count))[i] = 1
      }
      at += count
      return { name, type: 'json', values, ...(nulls && { nulls }) }
    },
  }
}

/** hyparquet leaves undefined where a list or a struct within another is null. */
const undefinedAsNull = (_key: string, value: unknown): unknown => (value === undefined ? null : value)

/** Variants would need these; no other nested column does. */
const noParsers = {} as ParquetParsers

async function readLeaf({ pages, values, shape, codec, leaf, path }: NestedLeaf): Promise<unknown[]> {
  const full: LeafShape = { ...shape, codec }
  let output: unknown[] = []
  let dictionary: Sink | undefined
  let left = values
  for (let raw = await pages.next(); raw; raw = await pages.next()) {
    if (raw.header.type === 'DICTIONARY_PAGE') {
      dictionary = openDictionary(raw.header, await bodyOf(raw), full, leaf.sink)
      continue
    }
    const inPage = valuesIn(raw.header) ?? 0
    left -= inPage
    if (left < 0) throw new Error('its pages hold more values than they should')
    if (inPage === 0) continue
    const page = openPage(raw.header, await bodyOf(raw), full, dictionary)
    const repetition = readLevels(page.repetition, inPage, shape.maxRepetition)
    const definition = readLevels(page.definition, inPage, shape.maxDefinition)
    const present =
      definition.length === 0 ? inPage : definition.filter((level) => level === shape.maxDefinition).length
    const sink = leaf.sink(present)
    page.decode(sink, present, 0)
    const plain = Array.from(sink.values as ArrayLike<unknown>, toJsonOf[leaf.type])
    output = assembleLists(output, definition, repetition, plain, path) as unknown[]
  }
  return output
}

function readLevels(levels: Page['definition'], count: number, max: number): number[] {
  if (!levels) return []
  const read = new Int32Array(count)
  levels.read(read, 0, count)
  if (read.some((level) => level < 0 || level > max)) throw new Error('a level is out of range')
  return [...read]
}

const asIs = (value: unknown): unknown => value
const exactOrText = (text: string): number | string => (String(Number(text)) === text ? Number(text) : text)

/** A value of each type as JSON has it; whole numbers beyond 2^53 and long decimals stay text, to stay exact. */
const toJsonOf: Record<ColumnType, (value: unknown) => unknown> = {
  boolean: (value) => value === 1,
  integer: asIs,
  bigint: (value) => exactOrText(String(value)),
  double: asIs,
  decimal: (value) => exactOrText(String(value)),
  text: asIs,
  date: (value) => dateText(Number(value)),
  timestamp: (value) => timestampText(BigInt(value as bigint)),
  timestamptz: (value) => `${timestampText(BigInt(value as bigint))}Z`,
  json: (value) => JSON.parse(String(value)) as unknown,
}
