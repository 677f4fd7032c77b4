import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** One stack per folder: two would write the same files. What a crashed one left behind does not count. */
export async function lockFolder(dir: string): Promise<() => Promise<void>> {
  const path = join(dir, 'lock')
  for (;;) {
    try {
      const file = await open(path, 'wx')
      await file.writeFile(String(process.pid))
      await file.close()
      return () => rm(path, { force: true })
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause
      const pid = Number(await readFile(path, 'utf8').catch(() => ''))
      if (isAlive(pid))
        throw new Error(
          `Another Weir stack (process ${pid}) runs in ${dir}: stop it first. If process ${pid} is something else, delete ${path}.`,
          { cause },
        )
      await rm(path, { force: true })
    }
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false
  if (pid === process.pid) return true
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM'
  }
}
