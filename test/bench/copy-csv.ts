import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'

const run = promisify(execFile)

type Connection = {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  stream: { writableNeedDrain: boolean; once(event: string, listener: () => void): void }
}

const hasPsql = run('psql', ['--version']).then(
  () => true,
  () => false,
)

/** The floor that loading is measured against: rows a second of COPY FROM STDIN as CSV into a table of the same columns. */
export async function copyRate(url: string, table: string): Promise<number> {
  const file = join(tmpdir(), `weir-floor-${crypto.randomUUID()}.csv`)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`create table copy_floor as select * from ${table} with no data`)
    await copyTo(client, `select * from ${table}`, file)
    await client.query('checkpoint')
    const startedMs = performance.now()
    if (await hasPsql) await run('psql', [url, '-c', `\\copy copy_floor from '${file}' csv`])
    else await copyFrom(client, 'copy_floor', file)
    const seconds = (performance.now() - startedMs) / 1000
    const { rows } = await client.query<{ n: string }>('select count(*) as n from copy_floor')
    await client.query('drop table copy_floor')
    return Number(rows[0]?.n) / seconds
  } finally {
    await client.end()
    await rm(file, { force: true })
  }
}

/** As `psql \copy` does it, where there is no psql. */
async function copyFrom(client: pg.Client, table: string, file: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let connection: Connection
    const send = async () => {
      for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
        connection.sendCopyFromChunk(chunk as Buffer)
        if (connection.stream.writableNeedDrain)
          await new Promise<void>((drained) => connection.stream.once('drain', drained))
      }
      connection.endCopyFrom()
    }
    client.query({
      submit(to: Connection) {
        connection = to
        to.query(`copy ${table} from stdin (format csv)`)
      },
      handleCopyInResponse: () => void send().catch(reject),
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
      callback: () => undefined,
    } as never)
  })
}

/** COPY … TO STDOUT into a file. */
async function copyTo(client: pg.Client, query: string, file: string): Promise<void> {
  const out = createWriteStream(file)
  await new Promise<void>((resolve, reject) => {
    client.query({
      submit: (to: Connection) => to.query(`copy (${query}) to stdout (format csv)`),
      handleCopyData: ({ chunk }: { chunk: Buffer }) => out.write(Buffer.from(chunk)),
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
      callback: () => undefined,
    } as never)
  })
  out.end()
  await once(out, 'close')
}
