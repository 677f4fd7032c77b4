// How fast and how small the decoding of files is, without storage or database:
//   node --max-old-space-size=128 test/bench/files-decode.ts
import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openFile } from '#src/connectors/files/files.ts'
import type { Column } from '#src/domain/column.ts'
import { newId } from '#src/domain/id.ts'
import { tenantKey } from '#src/storage/key.ts'
import type { Storage } from '#src/storage/storage.ts'

const key = tenantKey(newId('tenant'), 'files', 'bench')
const signal = new AbortController().signal
const flights = fileURLToPath(
  new URL('../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url),
)

/** A file on disk as if it were in the storage, in chunks as a network delivers them. */
async function diskStorage(path: string): Promise<Storage & { handle: FileHandle }> {
  const handle = await open(path)
  const bytes = (await stat(path)).size
  const refuse = (): never => {
    throw new Error('not needed here')
  }
  return {
    handle,
    head: async () => ({ bytes, etag: 'disk' }),
    async get(_key, { range } = {}) {
      let at = range?.start ?? 0
      const end = range?.end ?? bytes
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          if (at >= end) return controller.close()
          const chunk = new Uint8Array(Math.min(65_536, end - at))
          await handle.read(chunk, 0, chunk.length, at)
          at += chunk.length
          controller.enqueue(chunk)
        },
      })
      return { bytes: end - at, etag: 'disk', body }
    },
    put: refuse,
    remove: refuse,
    list: refuse,
    signedUpload: refuse,
    signedDownload: refuse,
  }
}

async function measure(what: string, path: string): Promise<void> {
  for (let round = 1; round <= 3; round++) {
    const storage = await diskStorage(path)
    const idle = process.memoryUsage()
    const cpu = process.cpuUsage()
    const begun = performance.now()
    let rows = 0
    let batches = 0
    let peak = 0
    const reader = await openFile(storage, key, { name: path, signal })
    for await (const { batch } of reader.batches) {
      rows += batch.rows
      batches++
      const now = process.memoryUsage()
      peak = Math.max(peak, now.heapUsed - idle.heapUsed + now.arrayBuffers - idle.arrayBuffers)
    }
    const s = (performance.now() - begun) / 1000
    const used = process.cpuUsage(cpu)
    const size = (await stat(path)).size
    await storage.handle.close()
    console.log(
      [
        `${what} #${round}`,
        `${rows} rows in ${batches} batches`,
        `${(rows / s / 1e6).toFixed(2)} M rows/s`,
        `${(size / s / 1e6).toFixed(0)} MB/s of file`,
        `${((used.user + used.system) / 1e6).toFixed(2)} s CPU`,
        `heap and buffers +${Math.round(peak / 1e6)} MB`,
      ].join(' · '),
    )
  }
}

const pad = (value: number): string => String(value).padStart(2, '0')
function csvOf(column: Column, row: number): string {
  if (column.nulls?.[row]) return ''
  if (column.type !== 'timestamp') return String(column.values[row])
  const time = new Date(Number((column.values[row] ?? 0n) / 1000n))
  return `${time.toISOString().slice(0, 10)} ${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:00`
}

/** The flights as CSV, as COPY would write them. */
async function writeCsv(path: string): Promise<void> {
  const source = await diskStorage(flights)
  const reader = await openFile(source, key, { name: flights, signal })
  const handle = await open(path, 'w')
  await handle.write(`${reader.schema.map((spec) => spec.name).join(',')}\n`)
  for await (const { batch } of reader.batches) {
    let text = ''
    for (let row = 0; row < batch.rows; row++)
      text += `${batch.columns.map((column) => csvOf(column, row)).join(',')}\n`
    await handle.write(text)
  }
  await handle.close()
  await source.handle.close()
}

const dir = await mkdtemp(join(tmpdir(), 'weir-files-'))
try {
  await measure('parquet (zstd)', flights)
  await writeCsv(join(dir, 'flights.csv'))
  await measure('csv', join(dir, 'flights.csv'))
} finally {
  await rm(dir, { recursive: true })
}
