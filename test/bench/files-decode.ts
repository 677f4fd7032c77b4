import { open, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { openParquet } from '#src/connectors/files/parquet/read.ts'
import type { FileSource } from '#src/connectors/files/source.ts'

const dir = new URL('../../node_modules/vega-datasets/data/', import.meta.url)

async function localFile(name: string): Promise<FileSource> {
  const path = fileURLToPath(new URL(name, dir))
  const handle = await open(path)
  return {
    name,
    bytes: (await stat(path)).size,
    etag: 'local',
    async read(start, end) {
      const into = new Uint8Array(end - start)
      await handle.read(into, 0, into.length, start)
      return into
    },
    stream: async (start) => handle.readableWebStream({ start } as never) as ReadableStream<Uint8Array>,
  }
}

const source = await localFile('flights-3m.parquet')
const idle = process.memoryUsage()
for (let round = 0; round < 3; round++) {
  const cpu = process.cpuUsage()
  const begun = performance.now()
  let rows = 0
  let peak = 0
  let batches = 0
  const reader = await openParquet(source, { signal: new AbortController().signal })
  for await (const { batch } of reader.batches) {
    rows += batch.rows
    batches++
    const now = process.memoryUsage()
    peak = Math.max(peak, now.heapUsed - idle.heapUsed + now.arrayBuffers - idle.arrayBuffers)
  }
  const ms = performance.now() - begun
  const used = process.cpuUsage(cpu)
  console.log(
    `parquet: ${rows} rows in ${batches} batches, ${Math.round(ms)} ms, ${Math.round(rows / ms)}k rows/s, cpu ${Math.round((used.user + used.system) / 1000)} ms, heap+buffers +${Math.round(peak / 1e6)} MB, rss +${Math.round((process.memoryUsage().rss - idle.rss) / 1e6)} MB`,
  )
}
