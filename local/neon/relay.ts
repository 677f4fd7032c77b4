import { connect } from 'node:net'

import type { WebSocket } from 'ws'

import type { Server } from './connection.ts'

/** Above the first, the side that sends is paused; below the second it goes on. */
const highWater = 1024 * 1024
const lowWater = 256 * 1024

/** Passes bytes between a WebSocket and a connection to PostgreSQL of its own, each side no faster than the other. */
export function relay(webSocket: WebSocket, server: Server): void {
  const socket = connect({ ...server, noDelay: true })
  let isPaused = false

  socket.on('data', (chunk) => {
    webSocket.send(chunk, () => {
      if (!isPaused || webSocket.bufferedAmount > lowWater) return
      isPaused = false
      socket.resume()
    })
    if (isPaused || webSocket.bufferedAmount <= highWater) return
    isPaused = true
    socket.pause()
  })
  socket.on('end', () => webSocket.close(1000))
  socket.on('error', () => webSocket.close(1011, 'the database connection was lost'))
  socket.on('close', () => webSocket.close(1011, 'the database connection was closed'))

  webSocket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return webSocket.close(1003, 'only binary messages are understood')
    if (socket.write(data)) return
    webSocket.pause()
    socket.once('drain', () => webSocket.resume())
  })
  webSocket.on('error', () => socket.destroy())
  // What the client said last still goes out; what the server still says has nobody to hear it.
  webSocket.on('close', () => socket.destroySoon())
}
