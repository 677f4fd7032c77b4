import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

import { bundles } from './build.ts'
import { lastWords } from './last-words.ts'
import { claimPort, freePort, loopback } from './ports.ts'
import { awaitAnswer } from './ready.ts'
import type { WorkerHost, WorkerOptions } from './worker.ts'

const pauseBeforeRestartMs = 200

/** Runs the built program on Deno, with the promises of `startWorker`: it too is started again after a crash. */
export async function startDeno(options: WorkerOptions): Promise<WorkerHost> {
  const script = options.script ?? bundles.deno
  const port = options.port === undefined ? await freePort() : await claimPort(options.port, 'the Worker')
  const words = lastWords(options.onLine ?? ((line: string) => console.log(line)))
  const binary = denoBinary()
  let isReady = false
  let isEnding = false
  let timer: NodeJS.Timeout | undefined

  const launch = (): ChildProcess => {
    const child = spawn(binary, denoArguments(script, options.v8Flags ?? []), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...(process.env['HOME'] ? { HOME: process.env['HOME'] } : {}),
        DENO_NO_UPDATE_CHECK: '1',
        NO_COLOR: '1',
        ...options.env,
        HOST: loopback,
        PORT: String(port),
      },
    })
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', words.note)
    child.on('error', (cause) => words.note(`Deno could not be started: ${cause.message}`))
    child.on('exit', () => {
      if (isReady && !isEnding) timer = setTimeout(() => (current = launch()), pauseBeforeRestartMs)
    })
    return child
  }
  let current = launch()
  const isAlive = () => current.pid !== undefined && current.exitCode === null && current.signalCode === null
  const end = async (signal: NodeJS.Signals) => {
    isEnding = true
    clearTimeout(timer)
    if (!isAlive()) return
    const died = once(current, 'exit')
    current.kill(signal)
    await died
  }

  try {
    await awaitAnswer(`http://${loopback}:${port}/v1/health`, {
      withinMs: 30_000,
      hasEnded: () => (isAlive() ? undefined : `Deno ended while it was starting.${words.text()}`),
    })
    isReady = true
  } catch (cause) {
    await end('SIGKILL')
    throw cause
  }

  return {
    url: `http://${loopback}:${port}`,
    port,
    pid() {
      if (current.pid === undefined || !isAlive()) throw new Error('Deno is not running.')
      return current.pid
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

/** Only what a deployment gives: the network, the variables, and the files beside the program. */
function denoArguments(script: string, v8Flags: readonly string[]): string[] {
  return [
    'run',
    '--no-prompt',
    '--no-config',
    '--no-remote',
    '--no-npm',
    '--no-lock',
    '--allow-net',
    '--allow-env',
    `--allow-read=${dirname(script)}`,
    ...(v8Flags.length ? [`--v8-flags=${v8Flags.join(',')}`] : []),
    script,
  ]
}

/** The package's own command is a script that waits for the real one, which could not be killed through it. */
function denoBinary(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('deno/package.json'))
  const binary = join(folder, process.platform === 'win32' ? 'deno.exe' : 'deno')
  if (!existsSync(binary))
    throw new Error(`${binary} is missing: run "npm rebuild deno", which puts Deno's program there.`)
  return binary
}
