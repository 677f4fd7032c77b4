import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { readEnv } from '#src/env.ts'
import { startDeno } from './deno.ts'
import { readReal } from './real.ts'
import { startServices, type Services, type ServicesOptions } from './services.ts'
import { undoList } from './undo.ts'
import { startWorker, type WorkerHost, type WorkerOptions } from './worker.ts'

type StackWorker = {
  url: string
  pid: () => number
  /** SIGKILL; nothing answers until `restart`. */
  kill(): Promise<void>
  /** Starts it anew on the same port, after a kill or instead of the running one. */
  restart(): Promise<void>
}

export type Stack = Omit<Services, 'stop'> & {
  url: string
  /** The complete record of src/env.ts. */
  env: Record<string, string>
  warehouseUrl: string
  worker: StackWorker | undefined
  /** Where the Worker's own lines go. */
  workerLog: string
  stop: () => Promise<void>
}

export type StackOptions = Partial<Omit<ServicesOptions, 'real'>> & {
  worker?: 'workerd' | 'deno' | 'none'
  v8Flags?: readonly string[]
  /** Variables that may name real services. */
  variables?: Record<string, string | undefined>
  onWorkerLine?: (line: string) => void
}

/** The whole of Weir on one machine: the services, and the built Worker with its minute tick. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { worker: platform = 'workerd', log = () => undefined, signal } = options
  const real = readReal(options.variables ?? {})
  const undo = undoList()
  try {
    const services = await startServices({ ...options, dir: options.dir ?? '.weir', real })
    undo.add(services.stop)
    const port = await services.ports.take('worker', 8787)
    const url = `http://127.0.0.1:${port}`
    const env = { ...services.env, PUBLIC_URL: (real.qstash?.publicUrl ?? url).replace(/\/$/, '') }
    // The same refusal as the Worker's own, but before anything leans on it.
    readEnv(env)

    const workerLog = join(services.dir, 'worker.log')
    let worker: StackWorker | undefined
    if (platform !== 'none') {
      const lines = await openLog(workerLog)
      undo.add(() => new Promise((done) => lines.end(done)))
      const onLine = (line: string) => {
        lines.write(`${line}\n`)
        options.onWorkerLine?.(line)
      }
      const launch = platform === 'deno' ? startDeno : startWorker
      const settings: WorkerOptions = {
        env,
        port,
        onLine,
        ...(options.v8Flags ? { v8Flags: options.v8Flags } : {}),
      }
      const host = await holdWorker(() => launch(settings))
      undo.add(host.stop)
      signal?.throwIfAborted()
      await scheduleTick(env)
      log(`The Worker is ready in ${platform}`)
      worker = { url, ...host.worker }
    }
    return { ...services, url, env, warehouseUrl: services.warehouse.url, worker, workerLog, stop: undo.run }
  } catch (cause) {
    await undo.run().catch(() => undefined)
    throw cause
  }
}

async function holdWorker(launch: () => Promise<WorkerHost>) {
  let host: WorkerHost | undefined = await launch()
  const running = () => {
    if (!host) throw new Error('The Worker is not running.')
    return host
  }
  const end = async (how: 'kill' | 'stop') => {
    const last = host
    host = undefined
    await last?.[how]()
  }
  return {
    stop: () => end('stop'),
    worker: {
      pid: () => running().pid(),
      kill: () => end('kill'),
      async restart() {
        await end('stop')
        host = await launch()
      },
    },
  }
}

async function openLog(path: string): Promise<WriteStream> {
  await mkdir(join(path, '..'), { recursive: true })
  return createWriteStream(path, { flags: 'a', mode: 0o600 })
}

/** QStash wakes the Worker once a minute; scheduling it again under the same id changes nothing. */
async function scheduleTick(env: Record<string, string>): Promise<void> {
  const reply = await fetch(`${env['QSTASH_URL']}/v2/schedules/${env['PUBLIC_URL']}/jobs/tick`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${env['QSTASH_TOKEN']}`,
      'Content-Type': 'application/json',
      'Upstash-Cron': '* * * * *',
      'Upstash-Schedule-Id': 'weir-tick',
      'Upstash-Retries': '0',
    },
    body: '{}',
  })
  if (!reply.ok) throw new Error(`QStash refused the minute tick: ${reply.status} ${await reply.text()}`)
}
