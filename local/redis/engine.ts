import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Redis } from 'ioredis'
import RedisMock from 'ioredis-mock'

type Client = {
  [command: string]: unknown
  on(event: string, listener: (...args: string[]) => void): void
  disconnect(): void
}

/** A Redis to run commands on, whichever it is. */
export type Engine = {
  kind: 'redis-server' | 'mock'
  /** Lua by the SHA-1 of the text that the client knows. */
  scripts: Map<string, string>
  call(verb: string, args: readonly string[]): Promise<unknown>
  /** Runs with nothing else in between. */
  alone<T>(work: () => Promise<T>): Promise<T>
  subscribe(how: 'subscribe' | 'psubscribe', names: readonly string[], onLine: (line: string) => void): Promise<() => void>
  stop(): Promise<void>
}

/** One after the other: a batch that must be alone waits for what runs, and what comes waits for it. */
function turnstile() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work)
    last = turn.catch(() => undefined)
    return turn
  }
}

function listen(client: Client, how: 'subscribe' | 'psubscribe', names: readonly string[], onLine: (line: string) => void) {
  client.on('message', (channel, text) => onLine(`message,${channel},${text}`))
  client.on('pmessage', (pattern, channel, text) => onLine(`pmessage,${pattern},${channel},${text}`))
  const begin = client[how]
  if (typeof begin !== 'function') throw new Error(`ERR no ${how}`)
  return begin.apply(client, [...names]) as Promise<unknown>
}

/** In memory. Its own store by a host name that nothing else has. */
export function connectMock(): Engine {
  const host = randomUUID()
  const connect = () => new RedisMock({ host }) as unknown as Client
  const client = connect()
  return {
    kind: 'mock',
    scripts: new Map(),
    async call(verb, args) {
      const command = client[verb]
      if (typeof command !== 'function') throw new Error(`ERR unknown command '${verb}'`)
      // The mock reads SET's options in upper case only; Redis takes them in any.
      const words = verb === 'set' ? [...args.slice(0, 2), ...args.slice(2).map((word) => word.toUpperCase())] : args
      return command.apply(client, words)
    },
    alone: turnstile(),
    async subscribe(how, names, onLine) {
      const subscriber = connect()
      await listen(subscriber, how, names, onLine)
      return () => {
        // The mock goes on sending to one that only disconnects.
        const leave = subscriber[how === 'subscribe' ? 'unsubscribe' : 'punsubscribe']
        if (typeof leave === 'function') leave.apply(subscriber, [...names])
        subscriber.disconnect()
      }
    },
    async stop() {
      client.disconnect()
    },
  }
}

const installed = (): string | undefined =>
  (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'redis-server')).find((file) => existsSync(file))

/** A `redis-server` of our own on a socket in a folder of its own; the one in memory where none is installed. */
export async function connectServer(isRequired: boolean): Promise<Engine> {
  const program = installed()
  if (!program) {
    if (isRequired) throw new Error('redis-server is not installed')
    return connectMock()
  }
  const dir = await mkdtemp(join(tmpdir(), 'weir-redis-'))
  const socket = join(dir, 'redis.sock')
  const server = spawn(program, ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  await ready(server)
  const connect = () => new Redis({ path: socket })
  const client = connect()
  return {
    kind: 'redis-server',
    scripts: new Map(),
    call: (verb, args) => client.call(verb, ...args),
    alone: turnstile(),
    async subscribe(how, names, onLine) {
      const subscriber = connect()
      await listen(subscriber as unknown as Client, how, names, onLine)
      return () => subscriber.disconnect()
    },
    async stop() {
      client.disconnect()
      const ended = once(server, 'exit')
      server.kill('SIGTERM')
      await ended
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function ready(server: ChildProcess): Promise<void> {
  let said = ''
  for await (const chunk of server.stdout ?? []) {
    said += String(chunk)
    if (said.includes('Ready to accept connections') || said.includes('ready to accept connections')) {
      server.stdout?.resume()
      return
    }
  }
  throw new Error(`redis-server did not start:\n${said}`)
}
