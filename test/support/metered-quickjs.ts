import { readFile, rename, writeFile } from 'node:fs/promises'
import { inject } from 'vitest'
import { readQuickjs } from '#local/quickjs.ts'

/** The same as quickjs(), for tests: putting the meter in takes a second, and once is enough for a run. */
export async function meteredQuickjs(): Promise<WebAssembly.Module> {
  const path = inject('quickjsPath')
  const made = await readFile(path).catch(() => undefined)
  if (made) return WebAssembly.compile(made)
  const bytes = await readQuickjs()
  const unfinished = `${path}.${process.pid}`
  await writeFile(unfinished, bytes)
  await rename(unfinished, path)
  return WebAssembly.compile(bytes)
}
