import { connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { startWorker, type WorkerHost } from '#local/worker.ts'

/** Two Workers behind one address, as a platform has many isolates. */
export type Workers = {
  /** SIGKILL; started again at once. */
  kill: (which: number) => Promise<void>
  /** No process of it gets any time while `meanwhile` goes on. */
  freeze: (which: number, meanwhile: () => Promise<void>) => Promise<void>
  /** All of them are gone until `meanwhile` is done. */
  killAll: (meanwhile: () => Promise<void>) => Promise<void>
  stop: () => Promise<void>
}

const count = 2

export async function startWorkers(options: {
  env: Record<string, string>
  /** Where the address of the environment leads. */
  port: number
  onLine: (line: string) => void
}): Promise<Workers> {
  const { env, onLine } = options
  // One of them soon hands on what it is given, the other keeps it for as long as it may.
  const launch = (which: number) =>
    startWorker({
      env: { ...env, ...(which === 0 ? { DELIVERY_CALLS: '3' } : {}) },
      onLine,
      v8Flags: ['--max-old-space-size=128'],
    })
  const hosts: (WorkerHost | undefined)[] = []
  // One after the other: Miniflare reads its flags from the environment of this process.
  for (let i = 0; i < count; i++) hosts.push(await launch(i))
  const door = await openDoor(options.port, () => hosts.flatMap((host) => host?.port ?? []))
  const kill = async (which: number) => {
    const host = hosts[which]
    hosts[which] = undefined
    await host?.kill()
  }
  return {
    async kill(which) {
      await kill(which)
      hosts[which] = await launch(which)
    },
    async freeze(which, meanwhile) {
      const pid = hosts[which]?.pid()
      if (pid === undefined) return
      process.kill(pid, 'SIGSTOP')
      try {
        await meanwhile()
      } finally {
        process.kill(pid, 'SIGCONT')
      }
    },
    async killAll(meanwhile) {
      for (const which of hosts.keys()) await kill(which)
      await meanwhile()
      for (const which of hosts.keys()) hosts[which] = await launch(which)
    },
    async stop() {
      await door.close()
      await Promise.all(hosts.flatMap((host) => host?.stop() ?? []))
    },
  }
}

/** Each connection goes to the next one that runs; none is there when none does. */
async function openDoor(port: number, behind: () => number[]): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer((socket) => {
    const ports = behind()
    const to = ports[turn++ % ports.length]
    if (to === undefined) return void socket.destroy()
    const through = connect({ host: '127.0.0.1', port: to })
    for (const [each, other] of [
      [socket, through],
      [through, socket],
    ] as const) {
      sockets.add(each)
      each.on('error', () => undefined)
      each.on('close', () => {
        sockets.delete(each)
        other.destroy()
      })
      each.pipe(other)
    }
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
