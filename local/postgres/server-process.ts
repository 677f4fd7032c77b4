import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import type { OsUser } from './os-user.ts'

const run = promisify(execFile)

/** What commits must outlive: a power cut, as in the cloud; only the end of the server, however it ends; or nothing. */
export type Durability = 'power-cut' | 'kill' | 'nothing'

const durable: Record<Durability, Record<string, string>> = {
  'power-cut': { fsync: 'on', synchronous_commit: 'on' },
  kill: { fsync: 'off', synchronous_commit: 'on' },
  nothing: {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
  },
}

/** A laptop that also benchmarks: a little more memory than the defaults. */
const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  max_connections: '200',
  // A session whose client is gone ends, even in the middle of a statement.
  client_connection_check_interval: '2s',
  // Each WebSocket session logs in anew; the stored hashes never leave a folder that only the server's user may read.
  scram_iterations: '1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
  // Statements of the people who use the stack carry their data: they stay out of the log file.
  log_min_error_statement: 'panic',
  jit: 'off',
}

export type Spawned = { process: ChildProcess; exited: Promise<void>; isAlive(): boolean }

/** Starts `postgres` on a data folder, its log appended to a file; readiness is the caller's to find out. */
export function spawnServer(
  binary: string,
  { data, port, log, durability }: { data: string; port: number; log: string; durability: Durability },
  user: OsUser,
): Spawned {
  const flags = Object.entries({ ...settings, ...durable[durability] }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ])
  const output = openSync(log, 'a', 0o600)
  const child = spawn(binary, ['-D', data, '-p', String(port), ...flags], {
    ...user,
    cwd: data,
    stdio: ['ignore', output, output],
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', LC_MESSAGES: 'C' },
  })
  closeSync(output)
  let isAlive = true
  const exited = new Promise<void>((resolve) => {
    const end = () => {
      isAlive = false
      resolve()
    }
    child.once('exit', end)
    child.once('error', end)
  })
  if (child.pid !== undefined) stopWithUs(child.pid, exited, user)
  return { process: child, exited, isAlive: () => isAlive }
}

/**
 * Stops the server when this process is gone, however it went: a small shell waits for the end of its input, which
 * only we hold open.
 */
function stopWithUs(pid: number, exited: Promise<void>, user: OsUser): void {
  const watcher = spawn('/bin/sh', ['-c', `read -r _; kill -INT ${pid}`], {
    ...user,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.on('error', () => undefined)
  watcher.unref()
  void exited.then(() => watcher.kill('SIGKILL'))
}

/** A power cut: the server and every process it forked are gone at once, with nothing written any more. */
export async function killAll(pid: number): Promise<void> {
  const children = await childrenOf(pid)
  for (const each of [pid, ...children]) signal(each, 'SIGKILL')
}

export function signal(pid: number, name: 'SIGINT' | 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']).catch(async () => ({
    stdout: (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).replaceAll(
      /(\d+) */g,
      `$1 ${pid}\n`,
    ),
  }))
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return pairs.flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []))
}

/**
 * Deals with the lock file of a server that did not stop in order. PostgreSQL itself removes one whose process is
 * gone; it cannot tell that the number now belongs to another program, nor that the server has lost its owner.
 */
export async function clearTheWay(data: string, ownerFile: string): Promise<void> {
  const lock = `${data}/postmaster.pid`
  const pid = Number((await readFile(lock, 'utf8').catch(() => '')).split('\n')[0])
  if (!pid || !signal(pid, 0)) return
  const command = await commandOf(pid)
  if (command !== undefined && !command.includes(data)) {
    await rm(lock, { force: true })
    return
  }
  const owner = Number(await readFile(ownerFile, 'utf8').catch(() => '0'))
  if (owner > 0 && signal(owner, 0)) {
    throw new Error(
      `PostgreSQL already runs on ${data} (process ${pid}, started by process ${owner}): stop that one first`,
    )
  }
  signal(pid, 'SIGINT')
  for (let waitedMs = 0; signal(pid, 0); waitedMs += 20) {
    if (waitedMs > 10_000)
      throw new Error(`A PostgreSQL left behind on ${data} (process ${pid}) does not stop`)
    await sleep(20)
  }
}

async function commandOf(pid: number): Promise<string | undefined> {
  const fromProc = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  if (fromProc !== undefined) return fromProc.replaceAll('\0', ' ')
  return run('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => undefined,
  )
}
