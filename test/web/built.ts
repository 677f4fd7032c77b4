import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '#local/build.ts'

/** The console as it is built, in a folder of its own. */
export async function builtConsole(): Promise<{ dir: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-console-'))
  // In a process of its own: vite declares the process that it builds in to be production, unless it is declared a test.
  const build = `import { buildConsole } from '#local/build.ts'; await buildConsole(${JSON.stringify(dir)})`
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', build], {
    cwd: root,
    env: { ...process.env, NODE_ENV: 'production' },
  })
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}
