import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from '#local/ports.ts'

/** An address of a server that can be shut: nothing listens there until it is opened. */
export type Door = { host: string; port: number; open(): Promise<void>; shut(): Promise<void> }

export async function door(behind: { host: string; port: number }): Promise<Door> {
  const port = await freePort()
  let server: Server | undefined
  const sockets = new Set<Socket>()
  return {
    host: '127.0.0.1',
    port,
    open: () =>
      new Promise((resolve, reject) => {
        server = createServer((socket) => {
          const through = connect(behind)
          for (const each of [socket, through]) {
            sockets.add(each)
            each.on('error', () => undefined)
            each.on('close', () => sockets.delete(each))
          }
          socket.pipe(through).pipe(socket)
        })
        server.once('error', reject)
        server.listen(port, '127.0.0.1', () => resolve())
      }),
    async shut() {
      const closing = server
      server = undefined
      for (const socket of sockets) socket.destroy()
      if (closing) await new Promise((done) => closing.close(done))
    },
  }
}
