// oxlint-disable-next-line triple-slash-reference -- declares untyped modules, and such a file cannot be imported
/// <reference path="./compressors.d.ts" />
// One file each instead of the package's index, which also loads a WebAssembly codec that workerd refuses.
import { decompress as decompressZstd } from 'fzstd'
import { decompressBrotli } from 'hyparquet-compressors/src/brotli.js'
import { gunzip } from 'hyparquet-compressors/src/gzip.js'
import { decompressLz4, decompressLz4Raw } from 'hyparquet-compressors/src/lz4.js'
import { snappyUncompress } from 'hyparquet/src/snappy.js'

/** Larger than what writers make by default (1 MB), small enough for an isolate. */
const maxPageBytes = 64 * 1024 * 1024

type Decompress = (input: Uint8Array, output: Uint8Array) => Uint8Array

const codecs: Record<string, Decompress> = {
  UNCOMPRESSED: (input) => input,
  SNAPPY: (input, output) => {
    snappyUncompress(input, output)
    return output
  },
  GZIP: (input, output) => {
    const isGzip = input[0] === 0x1f && input[1] === 0x8b
    if (isGzip && sizeInTrailer(input) !== output.length)
      throw new Error('a gzip page is not as long as it should be')
    return gunzip(input, output)
  },
  ZSTD: (input, output) => {
    decompressZstd(input, output)
    return output
  },
  BROTLI: (input, output) => decompressBrotli(input, output.length),
  LZ4: (input, output) => decompressLz4(input, output.length),
  LZ4_RAW: (input, output) => decompressLz4Raw(input, output.length),
}

/** One page, uncompressed: exactly as long as its header says, or an error. */
export function decompressPage(codec: string, input: Uint8Array, bytes: number): Uint8Array {
  if (bytes < 0 || bytes > maxPageBytes)
    throw new Error(`a page of ${Math.round(bytes / 1e6)} MB is larger than the 64 MB that fit`)
  const decompress = codecs[codec]
  if (!decompress) throw new Error(`the compression ${codec} is not supported`)
  if (bytes === 0) return new Uint8Array(0)
  const page = decompress(input, new Uint8Array(codec === 'UNCOMPRESSED' ? 0 : bytes))
  if (page.length !== bytes) throw new Error('a page is not as long as its header says')
  return page
}

function sizeInTrailer(input: Uint8Array): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  return view.getUint32(input.length - 4, true)
}
