import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import type pg from 'pg'

type Connection = {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  stream: { writableNeedDrain: boolean; once(event: string, listener: () => void): void }
}

/** COPY … FROM STDIN of a file, as `psql \copy` does it: the floor that loading is measured against. */
export async function copyFrom(client: pg.Client, table: string, file: string): Promise<void> {
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
export async function copyTo(client: pg.Client, query: string, file: string): Promise<void> {
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
