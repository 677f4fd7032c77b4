import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { freePort } from '#local/ports.ts'
import type { Services } from '#local/services.ts'
import type { WorkerHost } from '#local/worker.ts'
import { isLongForm } from './long-form.ts'
import { world } from './world.ts'

export type OwnServices = Services & { owner: pg.Client; warehouseDb: pg.Client }

/** Services that this test file may break. */
export async function ownServices(): Promise<OwnServices> {
  const { startServices } = await import('#local/services.ts')
  const dir = await mkdtemp(join(tmpdir(), 'weir-faults-'))
  const services = await startServices({ dir, durability: 'kill', seed: inject('postgresSeed') })
  const owner = await client(services.ownerUrl)
  const warehouseDb = await client(services.warehouse.url)
  return {
    ...services,
    owner,
    warehouseDb,
    async stop() {
      await Promise.allSettled([owner.end(), warehouseDb.end()])
      await services.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** A client that outlives the server: what is lost shows in the next query. */
export async function client(connectionString: string): Promise<pg.Client> {
  const made = new pg.Client({ connectionString })
  made.on('error', () => undefined)
  await made.connect()
  return made
}

/** Connections for questions that are asked at the same time. */
export function pool(connectionString: string): pg.Pool {
  const made = new pg.Pool({ connectionString, max: 4 })
  made.on('error', () => undefined)
  return made
}

export type OwnWorker = {
  url: string
  /** The process; another after a kill. */
  pid(): number
  /** SIGKILL to the process. */
  kill(): Promise<void>
  /** On the same port. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** The Worker as it is built and deployed, in workerd with no more memory than Cloudflare gives. */
export async function ownWorker(options: {
  env: Record<string, string>
  dir: string
  onLine?: (line: string) => void
}): Promise<OwnWorker> {
  const [{ buildProgram }, { startWorker }] = await Promise.all([
    import('#local/build.ts'),
    import('#local/worker.ts'),
  ])
  const { file } = await buildProgram({
    entry: 'src/worker.ts',
    platform: 'workerd',
    outDir: join(options.dir, 'worker'),
  })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const launch = () =>
    startWorker({
      env: { ...options.env, PUBLIC_URL: url },
      port,
      script: file,
      v8Flags: ['--max-old-space-size=128'],
      onLine: options.onLine ?? (() => undefined),
    })
  let host: WorkerHost = await launch()
  return {
    url,
    pid: () => host.pid(),
    kill: () => host.kill(),
    async restart() {
      host = await launch()
    },
    stop: () => host.stop(),
  }
}

/** In the long form the Worker as it is deployed; otherwise the same app in this process, in a tenth of the time. */
export async function workerOrApp(
  options: Parameters<typeof ownWorker>[0],
): Promise<Pick<OwnWorker, 'url' | 'pid' | 'stop'>> {
  if (isLongForm) return ownWorker(options)
  const { onLine = () => undefined } = options
  const here = await world(
    (services) => ({ ...services, log: (line) => onLine(JSON.stringify(line)) }),
    options.env,
  )
  return { url: here.url, pid: () => process.pid, stop: () => here.close() }
}
