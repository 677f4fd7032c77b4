import type { Batch, ColumnSpec } from '#src/domain/column.ts'
import { columnBuilder, type ColumnBuilder } from './column-builder.ts'
import type { CopyDecoder } from './copy-out.ts'

/** `place` is where the batch ends: the text forms of its last row's trailing columns. */
export type DecodedBatch = { batch: Batch; place: string[] }

/** A batch is full at either; four megabytes of values are about twice that as a batch's strings. */
const fullRows = 32_768
const fullBytes = 4 * 1024 * 1024

const fixedHeaderBytes = 19
const utf8 = new TextDecoder()

/**
 * Makes batches of a binary COPY stream whose rows hold the columns of `schema` and after them `placeColumns` columns of
 * text. Servers send one row a piece, but the borders of pieces are not relied on.
 */
export class TupleDecoder implements CopyDecoder<DecodedBatch> {
  private readonly builders: readonly ColumnBuilder[]
  private readonly places: Uint8Array[]
  private rows = 0
  private bytes = 0
  private started = false
  private held: Uint8Array | undefined
  private ended = false

  constructor(schema: readonly ColumnSpec[], placeColumns: number, refuse: (column: string) => Error) {
    this.builders = schema.map((column) => columnBuilder(column, refuse))
    this.places = Array.from({ length: placeColumns }, () => new Uint8Array(0))
  }

  push(piece: Uint8Array, emit: (item: DecodedBatch) => void): void {
    const bytes = this.held ? joined(this.held, piece) : piece
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = this.started ? 0 : this.header(view)
    while (at >= 0 && at < bytes.length && !this.ended) {
      const next = this.row(view, bytes, at)
      if (next < 0) break
      this.bytes += next - at
      at = next
      if (this.rows >= fullRows || this.bytes >= fullBytes) this.emitBatch(emit)
    }
    const rest = Math.max(0, at)
    this.held = rest < bytes.length && !this.ended ? copied(bytes, rest, bytes.length) : undefined
  }

  end(emit: (item: DecodedBatch) => void): void {
    if (!this.ended) throw new Error('the stream of rows ended early')
    if (this.rows > 0) this.emitBatch(emit)
  }

  /** Where the rows begin, or -1 when the header is not all there. */
  private header(view: DataView): number {
    if (view.byteLength < fixedHeaderBytes) return -1
    const length = fixedHeaderBytes + view.getInt32(fixedHeaderBytes - 4)
    if (view.byteLength < length) return -1
    this.started = true
    return length
  }

  /** Where the next row begins, or -1 when this one is not all there; then it is decoded again from its beginning. */
  private row(view: DataView, bytes: Uint8Array, start: number): number {
    const end = bytes.length
    if (start + 2 > end) return -1
    const fields = view.getInt16(start)
    if (fields < 0) {
      this.ended = true
      return end
    }
    const { builders, rows } = this
    let at = start + 2
    for (let i = 0; i < fields; i++) {
      if (at + 4 > end) return -1
      const length = view.getInt32(at)
      at += 4
      if (length > 0 && at + length > end) return -1
      const builder = builders[i]
      if (!builder) this.keepPlace(i - builders.length, bytes, at, at + Math.max(0, length))
      else if (length < 0) builder.putNull(rows)
      else builder.put(rows, view, bytes, at, length)
      if (length > 0) at += length
    }
    this.rows++
    return at
  }

  private keepPlace(index: number, bytes: Uint8Array, at: number, end: number): void {
    const place = this.places[index]
    if (place?.length === end - at) place.set(bytes.subarray(at, end))
    else this.places[index] = copied(bytes, at, end)
  }

  private emitBatch(emit: (item: DecodedBatch) => void): void {
    const { rows } = this
    this.rows = 0
    this.bytes = 0
    const columns = this.builders.map((builder) => builder.take(rows))
    emit({ batch: { rows, columns }, place: this.places.map((place) => utf8.decode(place)) })
  }
}

/** Not `slice`, which on the driver's Buffers gives a view of what will be overwritten. */
const copied = (bytes: Uint8Array, from: number, to: number): Uint8Array =>
  new Uint8Array(bytes.subarray(from, to))

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length)
  whole.set(first)
  whole.set(second, first.length)
  return whole
}
