import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const everyMs = 50

/** What the process holds in memory, in bytes; 0 when it is not there. */
async function residentBytes(pid: number): Promise<number> {
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
  }
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(pid)]).catch(() => ({ stdout: '0' }))
  return Number(stdout.trim()) * 1024
}

export type Watch = { readonly idleBytes: number; readonly peakBytes: number; stop(): void }

/** Watches a process from now, when it is idle. `pid` may change on the way: a Worker that crashed is another one. */
export async function watchMemory(pid: () => number): Promise<Watch> {
  const idleBytes = await residentBytes(pid())
  let peakBytes = idleBytes
  let isReading = false
  const look = async () => {
    if (isReading) return
    isReading = true
    try {
      peakBytes = Math.max(peakBytes, await residentBytes(pid()))
    } catch {
      // It is being started again at this moment.
    } finally {
      isReading = false
    }
  }
  const timer = setInterval(() => void look(), everyMs)
  return {
    idleBytes,
    get peakBytes() {
      return peakBytes
    },
    stop: () => clearInterval(timer),
  }
}
