import type { MiddlewareHandler } from 'hono'
import type { ApiEnv } from './api.ts'
import { isFresh } from './etag.ts'

/** A file of the built console as the bundle carries it. */
export type ConsoleFile = { type: string; etag: string; text?: string; base64?: string }
export type ConsoleFiles = Readonly<Record<string, ConsoleFile>>

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
/** What is not the console's: unknown paths there are a problem, never a page. */
const others = /^\/(v1|jobs|problems|\.well-known)(\/|$)/

/** Serves the console: its files by name, its pages by any other path that has no ending. */
export function serveConsole(files: ConsoleFiles): MiddlewareHandler<ApiEnv> {
  return async function serveConsole(c, next) {
    const { method, path } = c.req
    if ((method !== 'GET' && method !== 'HEAD') || others.test(path)) return next()
    const name = /\.[a-z0-9]+$/.test(path) ? path : '/index.html'
    const file = Object.hasOwn(files, name) ? files[name] : undefined
    if (!file) return next()
    c.header('ETag', file.etag)
    // The names of assets hold a hash of what is in them.
    c.header(
      'Cache-Control',
      path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    )
    // On a 304 as well: browsers replace the headers that they have kept by those of the newest answer.
    c.header('Content-Security-Policy', policy)
    if (isFresh(c.req.header('if-none-match'), file.etag)) return c.body(null, 304)
    c.header('Content-Type', file.type)
    return c.body(file.text ?? Uint8Array.from(atob(file.base64 ?? ''), (char) => char.charCodeAt(0)))
  }
}
