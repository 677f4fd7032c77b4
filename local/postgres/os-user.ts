import { execFile } from 'node:child_process'
import { chmod, chown, realpath, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whom the server runs as. `undefined` means: as ourselves. */
export type OsUser = { uid: number; gid: number } | undefined

/** PostgreSQL refuses to run as root, so root hands it to the user `postgres`, made when there is none. */
export async function serverUser(): Promise<OsUser> {
  if (process.getuid?.() !== 0) return undefined
  const known = await lookUp('postgres')
  if (known) return known
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres'])
  } catch (cause) {
    // Two starts at once both try; the one that lost finds the other's user.
    const made = await lookUp('postgres')
    if (made) return made
    throw new Error(
      'PostgreSQL does not run as root and the user "postgres" could not be created: create it, or start as another user',
      { cause },
    )
  }
  return lookUp('postgres')
}

async function lookUp(name: string): Promise<OsUser> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}

/** Gives a file or folder to the server's user. */
export async function handOver(path: string, user: OsUser, mode: number): Promise<void> {
  if (user) await chown(path, user.uid, user.gid)
  await chmod(path, mode)
}

/**
 * Makes sure the server's user can walk down to `path`. Closed folders that root made below the system's
 * temporary folder are opened for walking through (mkdtemp makes them 0700); others are left alone and named.
 */
export async function openTheWay(path: string, user: OsUser): Promise<void> {
  if (!user) return
  const temporary = await realpath(tmpdir())
  for (let folder = dirname(await realpath(path)); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder)
    const needed = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001
    if ((mode & needed) === 0) {
      if (!folder.startsWith(`${temporary}/`)) {
        throw new Error(
          `PostgreSQL runs as the user "postgres" (it refuses to be root), who may not enter ${folder}: ` +
            `run "chmod o+x ${folder}", choose a folder elsewhere, or do not start as root`,
        )
      }
      await chmod(folder, (mode & 0o7777) | needed)
    }
    if (folder === dirname(folder)) return
  }
}
