import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** PostgreSQL's grammar, compiled as the platforms do it. */
export async function grammar(): Promise<WebAssembly.Module> {
  const path = createRequire(import.meta.url).resolve('libpg-query/wasm/libpg-query.wasm')
  return WebAssembly.compile(await readFile(path))
}
