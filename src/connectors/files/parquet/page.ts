import { parquetHeader } from 'hyparquet/src/column.js'
import type { Encoding, PageHeader } from 'hyparquet'
import { decompressPage } from './codecs.ts'
import { plainBytes } from './delta.ts'
import { readRle, scratch } from './rle.ts'
import type { RleReader } from './rle.ts'
import type { Sink } from './sink.ts'
import { endOfStruct } from './thrift.ts'

/** What its pages are decoded by. */
export type LeafShape = {
  physical: string
  length: number
  codec: string
  maxDefinition: number
  maxRepetition: number
}

/** A data page, its values not yet decoded. */
export type Page = {
  values: number
  repetition: RleReader | undefined
  definition: RleReader | undefined
  /** Puts the next `count` values that are not null into the sink. */
  decode(sink: Sink, count: number, at: number): void
}

/** The header at `start` and where the page's bytes begin; throws ThriftCutOff when there are too few bytes to tell. */
export function readHeader(bytes: Uint8Array, start: number): { header: PageHeader; dataAt: number } {
  const end = endOfStruct(bytes, start)
  const header = parquetHeader({ view: new DataView(bytes.buffer, bytes.byteOffset, end), offset: start })
  const { compressed_page_size: compressed, uncompressed_page_size: uncompressed } = header
  if (
    !Number.isInteger(compressed) ||
    compressed < 0 ||
    !Number.isInteger(uncompressed) ||
    uncompressed < 0
  ) {
    throw new Error('a page has an impossible size')
  }
  return { header, dataAt: end }
}

/** How many values a page says it has; undefined for one that is not of data. */
export function valuesIn(header: PageHeader): number | undefined {
  const values = (header.data_page_header ?? header.data_page_header_v2)?.num_values
  if (header.type !== 'DATA_PAGE' && header.type !== 'DATA_PAGE_V2') return undefined
  if (values === undefined || !Number.isInteger(values) || values < 0)
    throw new Error('a page has no number of values')
  return values
}

/** Decodes a dictionary page into a sink of its own. */
export function openDictionary(
  header: PageHeader,
  body: Uint8Array,
  shape: LeafShape,
  makeSink: (n: number) => Sink,
): Sink {
  const count = header.dictionary_page_header?.num_values ?? -1
  const page = decompressPage(shape.codec, body, header.uncompressed_page_size)
  if (!Number.isInteger(count) || count < 0 || count > mostValues(shape, page.length)) {
    throw new Error('a dictionary claims more values than it has bytes')
  }
  const sink = makeSink(count)
  sink.plain(viewOf(page), 0, count, 0)
  return sink
}

export function openPage(
  header: PageHeader,
  body: Uint8Array,
  shape: LeafShape,
  dictionary: Sink | undefined,
): Page {
  const v2 = header.data_page_header_v2
  if (header.type === 'DATA_PAGE_V2' && v2) {
    const { repetition_levels_byte_length: repeats, definition_levels_byte_length: defines } = v2
    const levels = repeats + defines
    if (!(repeats >= 0 && defines >= 0 && levels <= body.length))
      throw new Error('the levels of a page are longer than it')
    const codec = v2.is_compressed === false ? 'UNCOMPRESSED' : shape.codec
    const page = decompressPage(codec, body.subarray(levels), header.uncompressed_page_size - levels)
    return {
      values: v2.num_values,
      repetition: levelsOf(body, 0, repeats, shape.maxRepetition),
      definition: levelsOf(body, repeats, levels, shape.maxDefinition),
      decode: valuesOf(page, 0, v2.encoding, v2.num_values, shape, dictionary),
    }
  }
  const v1 = header.data_page_header
  if (!v1) throw new Error('a page has no header of its own')
  const page = decompressPage(shape.codec, body, header.uncompressed_page_size)
  let at = 0
  const levels = (max: number, encoding: Encoding): RleReader | undefined => {
    if (max === 0) return undefined
    if (encoding !== 'RLE') throw new Error(`levels in the encoding ${encoding} are not supported`)
    const start = at + 4
    at = start + viewOf(page).getUint32(at, true)
    if (at > page.length) throw new Error('the levels of a page are longer than it')
    return levelsOf(page, start, at, max)
  }
  const repetition = levels(shape.maxRepetition, v1.repetition_level_encoding)
  const definition = levels(shape.maxDefinition, v1.definition_level_encoding)
  const decode = valuesOf(page, at, v1.encoding, v1.num_values, shape, dictionary)
  return { values: v1.num_values, repetition, definition, decode }
}

function levelsOf(bytes: Uint8Array, start: number, end: number, max: number): RleReader | undefined {
  return max === 0 ? undefined : readRle(bytes, start, end, 32 - Math.clz32(max))
}

function valuesOf(
  page: Uint8Array,
  start: number,
  encoding: Encoding,
  values: number,
  shape: LeafShape,
  dictionary: Sink | undefined,
): Page['decode'] {
  switch (encoding) {
    case 'PLAIN':
      return plainValues(page, start)
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY': {
      if (!dictionary) return onlyNulls
      const width = page[start] ?? 0
      if (width > 32) throw new Error('the indices of a page are too wide')
      return pickedValues(readRle(page, start + 1, page.length, width), dictionary)
    }
    case 'RLE': {
      if (shape.physical !== 'BOOLEAN') throw new Error('RLE is for flags only')
      const bits = readRle(page, start + 4, page.length, 1)
      return (sink, count, at) => {
        const flags = new Int32Array(count)
        bits.read(flags, 0, count)
        ;(sink.values as Uint8Array).set(flags, at)
      }
    }
    case 'DELTA_BINARY_PACKED':
    case 'DELTA_LENGTH_BYTE_ARRAY':
    case 'DELTA_BYTE_ARRAY':
    case 'BYTE_STREAM_SPLIT':
      return plainValues(plainBytes(page, start, encoding, values, shape), 0)
    case 'BIT_PACKED':
    case 'GROUP_VAR_INT':
      throw new Error(`the encoding ${encoding} is not supported`)
  }
  throw new Error('a page has an unknown encoding')
}

function plainValues(page: Uint8Array, start: number): Page['decode'] {
  const view = new DataView(page.buffer, page.byteOffset + start, page.byteLength - start)
  let position = 0
  return (sink, count, at) => {
    position = sink.plain(view, position, count, at)
  }
}

function pickedValues(indices: RleReader, dictionary: Sink): Page['decode'] {
  return (sink, count, at) => {
    const picked = scratch(count)
    indices.read(picked, 0, count)
    sink.pick(dictionary, picked, count, at)
  }
}

const onlyNulls: Page['decode'] = (_sink, count) => {
  if (count > 0) throw new Error('a page needs a dictionary that is not there')
}

/** The most values of this physical type that so many bytes can hold in PLAIN. */
function mostValues({ physical, length }: LeafShape, bytes: number): number {
  switch (physical) {
    case 'BOOLEAN':
      return bytes * 8
    case 'INT64':
    case 'DOUBLE':
      return bytes / 8
    case 'INT96':
      return bytes / 12
    case 'FIXED_LEN_BYTE_ARRAY':
      return bytes / Math.max(1, length)
    default:
      return bytes / 4
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
