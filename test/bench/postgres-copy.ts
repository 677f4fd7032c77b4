import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'

import { startPostgres } from '#local/postgres.ts'
import type { ColumnSpec } from '#src/domain/column.ts'
import type { PostgresConnection } from '#src/connectors/postgres/config.ts'
import { dropStage, openLoad } from '#src/connectors/postgres/load.ts'
import { openReader } from '#src/connectors/postgres/read.ts'
import type { WriteMode } from '#src/connectors/connector.ts'

/** How fast rows go into and out of a tenant's server, beside plain `COPY … FROM STDIN` of the same rows as text. */
const rows = 3_000_000
const chunkRows = 200_000
const pieceBytes = 64 * 1024

const columns: ColumnSpec[] = [
  { name: 'at', type: 'timestamp', nullable: false },
  { name: 'delay', type: 'bigint', nullable: false },
  { name: 'distance', type: 'bigint', nullable: false },
  { name: 'origin', type: 'text', nullable: false },
  { name: 'destination', type: 'text', nullable: false },
]
const airport = (i: number) => String.fromCharCode(65 + (i % 26), 65 + ((i >> 3) % 26), 65 + ((i >> 6) % 26))

function binaryChunk(first: number): Uint8Array {
  const rowBytes = 2 + 3 * 12 + 2 * 7
  const bytes = new Uint8Array(chunkRows * rowBytes)
  const view = new DataView(bytes.buffer)
  const utf8 = new TextEncoder()
  let at = 0
  for (let i = first; i < first + chunkRows; i++) {
    view.setInt16(at, 5)
    at += 2
    for (const value of [BigInt(i) * 1_000_000n, BigInt(i % 500), BigInt(i % 3000)]) {
      view.setInt32(at, 8)
      view.setBigInt64(at + 4, value)
      at += 12
    }
    for (const value of [airport(i), airport(i * 7)]) {
      view.setInt32(at, 3)
      utf8.encodeInto(value, bytes.subarray(at + 4))
      at += 7
    }
  }
  return bytes
}

function textChunk(first: number): Buffer {
  const lines = Array.from({ length: chunkRows }, (_, k) => {
    const i = first + k
    const at = new Date(946_684_800_000 + i * 1000).toISOString().slice(0, 19).replace('T', ' ')
    return `${at}\t${i % 500}\t${i % 3000}\t${airport(i)}\t${airport(i * 7)}\n`
  })
  return Buffer.from(lines.join(''))
}

async function* pieces(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

/** What psql does: the same bytes for everybody, as fast as the socket takes them. */
async function plainCopy(client: pg.Client, chunks: readonly Buffer[]): Promise<number> {
  await client.query(
    'drop table if exists plain; create table plain (at timestamp, delay int8, distance int8, origin text, destination text)',
  )
  await client.query('checkpoint')
  const start = performance.now()
  await new Promise<void>((resolve, reject) => {
    const send = async (connection: pg.Connection & { endCopyFrom(): void }) => {
      for (const bytes of chunks) {
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          const piece = bytes.subarray(at, at + pieceBytes)
          const head = Buffer.alloc(5)
          head[0] = 0x64
          head.writeInt32BE(piece.length + 4, 1)
          connection.stream.write(head)
          if (!connection.stream.write(piece))
            await new Promise((drained) => connection.stream.once('drain', drained))
        }
      }
      connection.endCopyFrom()
    }
    client.query({
      callback: () => undefined,
      submit: (connection: pg.Connection) => connection.query('copy plain from stdin'),
      handleCopyInResponse: (connection: pg.Connection & { endCopyFrom(): void }) =>
        void send(connection).catch(reject),
      handleCommandComplete: () => undefined,
      handleReadyForQuery: resolve,
      handleError: reject,
    } as pg.Submittable)
  })
  return rows / ((performance.now() - start) / 1000)
}

async function load(
  connection: PostgresConnection,
  mode: WriteMode,
  table: string,
  chunks: readonly Uint8Array[],
) {
  const spec = { loadId: `bench_${table}`, table, mode, columns }
  const start = performance.now()
  const opened = await openLoad(connection, spec, { allowPrivate: true })
  for (const [number, bytes] of chunks.entries()) await opened.copyChunk(number, pieces(bytes))
  const staged = performance.now()
  const counts = await opened.finish()
  await opened.close()
  const end = performance.now()
  await dropStage(connection, spec, { allowPrivate: true })
  if (counts.rows !== rows) throw new Error(`loaded ${counts.rows} rows of ${rows}`)
  return { rate: rows / ((end - start) / 1000), finishMs: Math.round(end - staged) }
}

async function read(connection: PostgresConnection): Promise<number> {
  const start = performance.now()
  const reader = await openReader(
    connection,
    { stream: 'loaded', signal: AbortSignal.timeout(600_000) },
    { allowPrivate: true },
  )
  let got = 0
  for await (const { batch } of reader.batches) got += batch.rows
  await reader.close()
  if (got !== rows) throw new Error(`read ${got} rows of ${rows}`)
  return rows / ((performance.now() - start) / 1000)
}

const dir = await mkdtemp(join(tmpdir(), 'weir-bench-'))
const server = await startPostgres({ dir })
try {
  const url = new URL(server.superuserUrl())
  const connection: PostgresConnection = {
    name: 'bench',
    config: {
      host: server.host,
      port: server.port,
      database: 'postgres',
      user: url.username,
      ssl: 'disable',
    },
    secret: { password: decodeURIComponent(url.password) },
  }
  const client = new pg.Client({ connectionString: server.superuserUrl() })
  await client.connect()
  const starts = Array.from({ length: rows / chunkRows }, (_, k) => k * chunkRows)
  const texts = starts.map(textChunk)
  const tuples = starts.map(binaryChunk)
  for (let round = 0; round < 3; round++) {
    const plain = await plainCopy(client, texts)
    await client.query('drop table if exists loaded; checkpoint')
    const renamed = await load(connection, 'overwrite', 'loaded', tuples)
    await client.query('checkpoint')
    const replaced = await load(connection, 'overwrite', 'loaded', tuples)
    const out = await read(connection)
    const line = (name: string, rate: number, more = '') =>
      console.log(
        `${name.padEnd(34)} ${Math.round(rate).toLocaleString('en')} rows/s, ${(rate / plain).toFixed(2)} × COPY${more}`,
      )
    line('COPY FROM STDIN, text', plain)
    line('load into a new table', renamed.rate, `, finish ${renamed.finishMs} ms`)
    line('load into a table (overwrite)', replaced.rate, `, finish ${replaced.finishMs} ms`)
    line('read', out)
  }
  await client.end()
} finally {
  await server.stop()
  await rm(dir, { recursive: true, force: true })
}
