import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** One file of the built console as the bundle carries it: text as it is, anything else in base64. */
export type ConsoleFile = { type: string; etag: string; text?: string; base64?: string }

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
}
const binary = new Set(['.png', '.ico', '.woff2'])

/** Every file under `dir` by its path on the site. Source maps stay behind. */
export async function consoleFiles(dir: string): Promise<Record<string, ConsoleFile>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files: Record<string, ConsoleFile> = {}
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.endsWith('.map')) continue
    const path = join(entry.parentPath, entry.name)
    const extension = entry.name.slice(entry.name.lastIndexOf('.'))
    const type = types[extension]
    if (!type)
      throw new Error(`${path}: say in local/console-files.ts what type ${extension} files are sent as.`)
    const bytes = await readFile(path)
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    const content = binary.has(extension)
      ? { base64: bytes.toString('base64') }
      : { text: bytes.toString('utf8') }
    files[path.slice(dir.length).split(sep).join('/')] = { type, etag, ...content }
  }
  if (!files['/index.html']) throw new Error(`${dir} has no index.html: the console was not built.`)
  return files
}
