import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import pg from 'pg'

import { findBinaries } from './postgres/binaries.ts'
import { handOver, openTheWay, serverUser, type OsUser } from './postgres/os-user.ts'
import {
  clearTheWay,
  killAll,
  spawnServer,
  type Durability,
  type Spawned,
} from './postgres/server-process.ts'

const run = promisify(execFile)
const host = '127.0.0.1'
const superuser = 'postgres'

/**
 * Neon's driver sends the password together with the first message, so the server must ask for it in clear text;
 * the server listens on the loopback address only.
 */
const hostRules = 'host all all 127.0.0.1/32 password\n'

export type Postgres = {
  host: string
  port: number
  superuserUrl(database?: string): string
  createDatabase(name: string): Promise<void>
  /** Ends in order: waits for a checkpoint, not for clients. */
  stop(): Promise<void>
  /** SIGKILL to the server and all its processes, as a power cut; start again on the same `dir` to recover. */
  kill(): Promise<void>
}

/**
 * Starts a real PostgreSQL 18 whose whole state lives in `dir`. When `dir` is empty it is made there, or copied from `seed`,
 * a folder that makeSeed() made.
 */
export async function startPostgres(options: {
  dir: string
  port?: number
  durability?: Durability
  seed?: string | undefined
}): Promise<Postgres> {
  const dir = resolve(options.dir)
  const paths = pathsIn(dir)
  const owner = join(dir, 'owner.pid')
  const binaries = findBinaries()
  const { durability = 'power-cut', seed } = options
  const user = await ownFolder(dir, binaries.postgres)
  if (!(await exists(paths.data))) {
    if (seed === undefined) await initialise(binaries.initdb, dir, paths, user, durability)
    else await copySeed(resolve(seed), dir, user)
  }
  const password = await readPassword(paths.password)

  await clearTheWay(paths.data, owner)
  await writeFile(owner, String(process.pid))
  await writeFile(join(paths.data, 'pg_hba.conf'), hostRules)
  const port = await choosePort(options.port)
  const superuserUrl = (database = 'postgres') =>
    `postgresql://${superuser}:${password}@${host}:${port}/${encodeURIComponent(database)}`
  const how = { data: paths.data, log: paths.log, port, durability }
  const server = await startServer(binaries.postgres, how, user, superuserUrl())

  return {
    host,
    port,
    superuserUrl,
    async createDatabase(name) {
      await withClient(superuserUrl(), (client) =>
        client.query(`create database ${pg.escapeIdentifier(name)}`),
      )
    },
    async stop() {
      server.process.kill('SIGINT')
      await server.exited
      await rm(owner, { force: true })
    },
    async kill() {
      if (server.process.pid !== undefined && server.isAlive()) await killAll(server.process.pid)
      await server.exited
    },
  }
}

/** A server's state before its first start: to copy it is a tenth of the work of making it. */
export async function makeSeed(dir: string): Promise<void> {
  const binaries = findBinaries()
  const whole = resolve(dir)
  const user = await ownFolder(whole, binaries.postgres)
  await initialise(binaries.initdb, whole, pathsIn(whole), user, 'nothing')
}

async function copySeed(seed: string, dir: string, user: OsUser): Promise<void> {
  const unfinished = join(dir, 'data.new')
  const [from, to] = [pathsIn(seed), pathsIn(dir)]
  await rm(unfinished, { recursive: true, force: true })
  // As the server's own user, who must own what is in it.
  await run('cp', ['-Rp', from.password, to.password], { ...user, cwd: dir })
  await run('cp', ['-Rp', from.data, unfinished], { ...user, cwd: dir })
  await rename(unfinished, to.data)
}

type Paths = { data: string; log: string; password: string }

const pathsIn = (dir: string): Paths => ({
  data: join(dir, 'data'),
  log: join(dir, 'server.log'),
  password: join(dir, 'superuser-password'),
})

/** Makes the folder, gives it to the user that the server runs as, and tells who that is. */
async function ownFolder(dir: string, binary: string): Promise<OsUser> {
  const user = await serverUser()
  await mkdir(dir, { recursive: true })
  await handOver(dir, user, 0o700)
  await openTheWay(dir, user)
  await openTheWay(binary, user)
  return user
}

async function initialise(
  initdb: string,
  dir: string,
  paths: Paths,
  user: OsUser,
  durability: Durability,
): Promise<void> {
  // Under another name until it is whole, so that an interrupted start leaves nothing that looks like a database.
  const unfinished = join(dir, 'data.new')
  await rm(unfinished, { recursive: true, force: true })
  await writeFile(paths.password, randomBytes(24).toString('base64url'), { mode: 0o600 })
  await handOver(paths.password, user, 0o600)
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const flags = [
    `--username=${superuser}`,
    `--pwfile=${paths.password}`,
    '--auth=password',
    '--set=scram_iterations=1',
    '--no-instructions',
    ...(durability === 'power-cut' ? [] : ['--no-sync']),
  ]
  try {
    await run(initdb, [`--pgdata=${unfinished}`, ...flags, ...locale], { ...user, cwd: dir })
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause)
    throw new Error(`PostgreSQL could not create its data folder in ${dir}: ${said}`, { cause })
  }
  await rename(unfinished, paths.data)
}

async function startServer(
  binary: string,
  how: Parameters<typeof spawnServer>[1],
  user: OsUser,
  url: string,
): Promise<Spawned> {
  for (let attempt = 1; ; attempt++) {
    const logStart = await size(how.log)
    const server = spawnServer(binary, how, user)
    if (await isReady(server, url)) return server
    server.process.kill('SIGKILL')
    await server.exited
    const log = await tail(how.log, logStart)
    // After a kill, the last processes of the old server may hold its shared memory for a moment.
    if (
      attempt < 50 &&
      /pre-existing shared memory block|lock file "postmaster.pid" already exists/.test(log)
    ) {
      await sleep(100)
      continue
    }
    if (log.includes('Address already in use')) throw portTaken(how.port)
    throw new Error(`PostgreSQL did not start on ${how.data}. Its last words:\n${log}`)
  }
}

/** True once it answers a query; false when the process ended, or does not answer within a minute. */
async function isReady(server: Spawned, url: string): Promise<boolean> {
  const until = Date.now() + 60_000
  while (server.isAlive() && Date.now() < until) {
    const answered = await withClient(url, (client) => client.query('select 1')).then(
      () => true,
      () => false,
    )
    if (answered) return server.isAlive()
    await sleep(15)
  }
  return false
}

async function withClient<T>(connectionString: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function choosePort(wanted: number | undefined): Promise<number> {
  const probe = createServer()
  return new Promise((done, fail) => {
    probe.once('error', () => fail(portTaken(wanted ?? 0)))
    probe.listen(wanted ?? 0, host, () => {
      const address = probe.address()
      const port = address !== null && typeof address === 'object' ? address.port : 0
      probe.close(() => done(port))
    })
  })
}

const portTaken = (port: number) =>
  new Error(
    `Port ${port} on ${host} is already in use: stop what listens there, or choose another port for PostgreSQL`,
  )

async function readPassword(path: string): Promise<string> {
  const password = await readFile(path, 'utf8').catch(() => '')
  if (!password)
    throw new Error(
      `The database's password file ${path} is missing: restore it, or delete its folder to start anew`,
    )
  return password.trim()
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function size(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  )
}

async function tail(path: string, from: number): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size: end } = await file.stat()
    const start = Math.max(from, end - 4096)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(1, end - start)), { position: start })
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-20).join('\n')
  } finally {
    await file.close()
  }
}
