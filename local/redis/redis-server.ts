import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Connection } from './connection.ts'
import type { Command, Engine, Listening } from './engine.ts'
import { Failure, Status, toJson, type Reply } from './reply.ts'

const mostStartMs = 10_000

/** Where `redis-server` is installed, if it is. */
export function findRedisServer(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.map((folder) => join(folder, 'redis-server')).find((file) => existsSync(file))
}

/**
 * A `redis-server` of our own, reached by a socket that only we may open. With a folder it keeps what it holds there,
 * to the last second; without one it forgets.
 */
export async function startRedisServer(program: string, dir?: string): Promise<Engine> {
  const run = await mkdtemp(join(tmpdir(), 'weir-redis-'))
  const socket = join(run, 's')
  if (dir !== undefined) await mkdir(dir, { recursive: true })
  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: dir ?? run,
    save: '',
    appendonly: dir === undefined ? 'no' : 'yes',
    loglevel: 'warning',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const server = spawn(program, flags, { stdio: ['ignore', 'pipe', 'pipe'], cwd: run })
  let said = ''
  for (const stream of [server.stdout, server.stderr]) {
    stream.on('data', (chunk) => (said = (said + String(chunk)).slice(-4000)))
  }
  const exited = new Promise<void>((resolve) => {
    server.once('exit', () => resolve())
    server.once('error', (error) => {
      said += error.message
      resolve()
    })
  })
  stopWithUs(server, exited, run)
  try {
    const connection = await ready(socket, exited, () => said)
    return engineOn(connection, socket, async () => {
      server.kill('SIGTERM')
      await exited
      await rm(run, { recursive: true, force: true })
    })
  } catch (cause) {
    server.kill('SIGKILL')
    await rm(run, { recursive: true, force: true })
    throw cause
  }
}

function engineOn(connection: Connection, socket: string, stop: () => Promise<void>): Engine {
  return {
    kind: 'redis-server',
    run: (commands) => connection.ask(commands),
    transact: (commands) => transact(connection, commands),
    listen: (how, onEvent, onEnd) => listen(socket, how, onEvent, onEnd),
    async stop() {
      connection.close()
      await stop()
    },
  }
}

/** In one write: nothing else that goes over this connection comes between. */
async function transact(connection: Connection, commands: readonly Command[]): Promise<Reply[]> {
  const replies = await connection.ask([['MULTI'], ...commands, ['EXEC']])
  const refused = replies.slice(1, -1).find((reply) => reply instanceof Failure)
  if (refused) return [refused]
  const results = replies.at(-1)
  if (!Array.isArray(results)) throw new Error('redis-server answered EXEC without a list')
  return results
}

async function listen(
  socket: string,
  how: Listening,
  onEvent: (event: string) => void,
  onEnd: () => void,
): Promise<() => void> {
  const connection = await Connection.open(socket, (reply) => onEvent(eventOf(reply)))
  void connection.ended.then(onEnd)
  connection.tell([how.kind === 'monitor' ? ['MONITOR'] : [how.kind, ...how.names]])
  return () => connection.close()
}

function eventOf(reply: Reply): string {
  if (reply instanceof Status) return reply.text === 'OK' ? '"OK"' : reply.text
  return Array.isArray(reply) ? reply.map(wordOf).join(',') : wordOf(reply)
}

/** What messages consist of: data, and how many channels there are. */
const wordOf = (reply: Reply): string =>
  Buffer.isBuffer(reply) || typeof reply === 'string' ? reply.toString() : toJson(reply, false)

async function ready(path: string, exited: Promise<void>, said: () => string): Promise<Connection> {
  let hasExited = false
  void exited.then(() => (hasExited = true))
  for (const until = Date.now() + mostStartMs; Date.now() < until && !hasExited; await sleep(5)) {
    const connection = await Connection.open(path).catch(() => undefined)
    if (connection === undefined) continue
    // It answers LOADING while it reads its file.
    const [answer] = await connection.ask([['PING']]).catch(() => [])
    if (answer instanceof Status) return connection
    connection.close()
  }
  throw new Error(`redis-server did not start\n${said()}`.trimEnd())
}

/** Cleans up when this process is gone, however it went: a shell waits for the end of what only we hold open. */
function stopWithUs(server: ChildProcess, exited: Promise<void>, run: string): void {
  if (server.pid === undefined) return
  const script = 'read -r _; kill -TERM "$1"; rm -rf "$2"'
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', String(server.pid), run], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  })
  watcher.on('error', () => undefined)
  watcher.unref()
  void exited.then(() => watcher.kill('SIGKILL'))
}
