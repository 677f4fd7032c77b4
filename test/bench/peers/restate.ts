import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http2'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { arch, platform } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { createEndpointHandler, service, type Context } from '@restatedev/restate-sdk'
import { connect } from '@restatedev/restate-sdk-clients'
import { freePort } from './free-port.ts'
import { nothing, type Peer } from './peer.ts'

// Its own defaults but for fewer partitions, which fit the cores of one small machine; it streams to the handlers over
// HTTP/2, and a step is one `ctx.run`. Its log is synced before it goes on.
const partitions = 4
const mostStartMs = 60_000

const steps = service({
  name: 'steps',
  handlers: {
    chain: async (context: Context, count: number) => {
      for (let i = 0; i < count; i++) await context.run(`s${i}`, nothing)
    },
  },
})

export const restate: Peer = {
  name: 'restate',
  settings: `restate-server from npm with ${partitions} partitions and its log synced, ctx.run per step, HTTP/2 to the handlers, called through its ingress`,
  lacks: () => (findServer() === undefined ? `there is no restate-server for ${platform()}` : undefined),
  async open(dir) {
    const [ingress, admin, node] = await Promise.all([freePort(), freePort(), freePort()])
    const server = spawn(findServer() ?? '', ['--no-logo', '--base-dir', dir], {
      stdio: 'ignore',
      cwd: dir,
      env: {
        RESTATE_INGRESS__BIND_PORT: String(ingress),
        RESTATE_ADMIN__BIND_PORT: String(admin),
        RESTATE_BIND_PORT: String(node),
        RESTATE_BIND_IP: '127.0.0.1',
        RESTATE_ADVERTISED_HOST: '127.0.0.1',
        RESTATE_LISTEN_MODE: 'tcp',
        RESTATE_DEFAULT_NUM_PARTITIONS: String(partitions),
        RESTATE_DISABLE_TELEMETRY: 'true',
        RESTATE_NODE_NAME: 'bench',
      },
    })
    const handlers = createServer(createEndpointHandler({ services: [steps], logger: () => undefined }))
    handlers.listen(0, '127.0.0.1')
    await once(handlers, 'listening')
    const stop = async () => {
      await ended(server)
      handlers.close()
    }
    try {
      await register(`http://127.0.0.1:${admin}`, (handlers.address() as AddressInfo).port, server)
    } catch (error) {
      await stop()
      throw error
    }
    const client = connect({ url: `http://127.0.0.1:${ingress}` }).serviceClient(steps)
    return {
      chain: async (count) => await client.chain(count),
      async runs(count) {
        await Promise.all(Array.from({ length: count }, () => client.chain(1)))
      },
      close: stop,
    }
  },
}

function findServer(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(
      `@restatedev/restate-server-${platform()}-${arch()}/bin/restate-server`,
    )
  } catch {
    return undefined
  }
}

async function register(adminUrl: string, port: number, server: ChildProcess): Promise<void> {
  for (const until = Date.now() + mostStartMs; ; await pause(100)) {
    if (server.exitCode !== null) throw new Error(`restate-server ended with ${server.exitCode}`)
    const answer = await fetch(`${adminUrl}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri: `http://127.0.0.1:${port}` }),
    }).catch(() => undefined)
    if (answer?.ok) return
    if (Date.now() > until)
      throw new Error(`restate-server did not take the handlers: ${(await answer?.text()) ?? 'no answer'}`)
  }
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return
  const exited = once(server, 'exit')
  server.kill('SIGTERM')
  await Promise.race([exited, pause(5_000)])
  server.kill('SIGKILL')
}
