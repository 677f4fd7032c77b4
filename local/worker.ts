import { ChildProcess } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

import { Log, LogLevel, Miniflare } from 'miniflare'

import { bundles, modulesOf, wasmOf } from './build.ts'
import { lastWords } from './last-words.ts'
import { claimPort, freePort, loopback } from './ports.ts'
import { awaitAnswer } from './ready.ts'

/** The newest date that the installed workerd knows; wrangler.toml states the same one. */
export const compatibilityDate = '2026-07-01'
export const compatibilityFlags = ['nodejs_compat', 'global_fetch_strictly_public']

export type WorkerHost = {
  url: string
  port: number
  /** The process that runs the code now; another after a crash. */
  pid(): number
  /** SIGKILL, as if the machine went away; start another on the same port afterwards. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export type WorkerOptions = {
  /** What is asked for until it answers; /v1/health, which asks the services too, when absent. */
  readyPath?: string
  /** The record of src/env.ts. */
  env: Record<string, string>
  port?: number
  /** For example `--max-old-space-size=128`, the size of Cloudflare's isolates. */
  v8Flags?: readonly string[]
  /** The built bundle. */
  script?: string
  /** Every line the program writes. */
  onLine?: (line: string) => void
}

/** V8's flags reach workerd through this variable only, read each time Miniflare starts the process. */
const flagsVariable = 'MINIFLARE_WORKERD_V8_FLAGS'

const signals = ['SIGINT', 'SIGTERM'] as const

/** Runs the built Worker in workerd. Requests go to workerd itself; Miniflare only starts it, and again after a crash. */
export async function startWorker(options: WorkerOptions): Promise<WorkerHost> {
  const script = options.script ?? bundles.workerd
  const port = options.port === undefined ? await freePort() : await claimPort(options.port, 'the Worker')
  const entryPort = await freePort()
  const words = lastWords(options.onLine ?? ((line: string) => console.log(line)))
  const flags = (options.v8Flags ?? []).join(' ')
  const setFlags = () => {
    if (flags) process.env[flagsVariable] = flags
    else delete process.env[flagsVariable]
  }

  const processes = watchProcesses(`--socket-addr=entry=${loopback}:${entryPort}`, setFlags)
  setFlags()
  const keepSignals = holdSignals()
  const miniflare = new Miniflare({
    name: 'weir',
    host: loopback,
    port: entryPort,
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.ERROR),
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      for (const stream of [stdout, stderr]) createInterface(stream).on('line', words.note)
    },
    modules: [
      ...(await modulesOf(script)).map((module) => ({ type: 'ESModule' as const, ...module })),
      ...(await wasmOf(script)).map((module) => ({ type: 'CompiledWasm' as const, ...module })),
    ],
    compatibilityDate,
    compatibilityFlags,
    bindings: options.env,
    unsafeDirectSockets: [{ host: loopback, port }],
  })
  keepSignals()

  // Miniflare minds being ended twice.
  let ending: Promise<void> | undefined
  const end = () => (ending ??= miniflare.dispose().finally(processes.stop))
  try {
    await miniflare.ready
    await awaitAnswer(`http://${loopback}:${port}${options.readyPath ?? '/v1/health'}`, {
      withinMs: 30_000,
      hasEnded: () =>
        processes.current() ? undefined : `workerd ended while it was starting.${words.text()}`,
    })
  } catch (cause) {
    await end()
    throw cause
  }

  return {
    url: `http://${loopback}:${port}`,
    port,
    pid() {
      const pid = processes.current()?.pid
      if (pid === undefined) throw new Error('workerd is not running.')
      return pid
    },
    async kill() {
      const victim = processes.current()
      // Disposing in the same turn keeps Miniflare from starting it again.
      victim?.kill('SIGKILL')
      const died =
        victim && victim.exitCode === null && victim.signalCode === null ? once(victim, 'exit') : undefined
      await end()
      await died
    },
    stop: end,
  }
}

/** Miniflare exits the whole program on a signal, and what else runs in it would be left behind: its listeners go. */
function holdSignals(): () => void {
  const before = signals.map((signal) => process.listeners(signal))
  return () => {
    for (const [index, signal] of signals.entries())
      for (const listener of process.listeners(signal))
        if (!before[index]?.includes(listener)) process.off(signal, listener)
  }
}

/** Miniflare does not give its process away; Node tells of every process that it makes, and ours carries our address. */
function watchProcesses(mark: string, onExit: () => void) {
  const seen: ChildProcess[] = []
  const note = (message: unknown) => {
    const child =
      typeof message === 'object' && message !== null && 'process' in message ? message.process : undefined
    if (!(child instanceof ChildProcess)) return
    seen.push(child)
    child.once('exit', () => {
      if (child.spawnargs?.includes(mark)) onExit()
    })
  }
  subscribe('child_process', note)
  return {
    current: () =>
      seen.findLast(
        (child) => child.spawnargs?.includes(mark) && child.exitCode === null && child.signalCode === null,
      ),
    stop: () => unsubscribe('child_process', note),
  }
}
