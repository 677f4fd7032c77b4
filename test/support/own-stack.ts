import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { buildProgram } from '#local/build.ts'
import { freePort } from '#local/ports.ts'
import { startServices, type Services } from '#local/services.ts'
import { startWorker, type WorkerHost } from '#local/worker.ts'

export type OwnServices = Services & { owner: pg.Client; warehouseDb: pg.Client }

/** Services that this test file may break. */
export async function ownServices(): Promise<OwnServices> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-faults-'))
  const services = await startServices({ dir })
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
