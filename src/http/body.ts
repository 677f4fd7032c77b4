import type { HonoRequest } from 'hono'
import { joined } from '#src/domain/pieces.ts'
import { Problem } from '#src/domain/problem.ts'

const maxBodyBytes = 1024 * 1024

const tooLarge = () => new Problem('too_large', 'A body may have at most 1 MB; files go to object storage.')

/** Refuses by what the request says of itself; what says nothing is counted while it is read. */
export function refuseLargeBody(request: Request): void {
  const length = request.headers.get('content-length')
  if (length !== null && Number(length) > maxBodyBytes) throw tooLarge()
}

/** The body as text, read once, never more than the limit. */
export async function readText(req: HonoRequest): Promise<string> {
  if (req.bodyCache.text !== undefined) return req.text()
  const text = decode(await readBytes(req.raw))
  // Typed as a string, awaited as a promise: what req.text() and req.json() find from now on.
  Object.assign(req.bodyCache, { text: Promise.resolve(text) })
  return text
}

/** The fields of a form that a page of whatever site has posted. */
export async function readForm(req: HonoRequest): Promise<URLSearchParams> {
  const mediaType = req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (mediaType !== 'application/x-www-form-urlencoded')
    throw new Problem('unsupported_media_type', 'Send the form as application/x-www-form-urlencoded.')
  return new URLSearchParams(await readText(req))
}

async function readBytes(request: Request): Promise<Uint8Array> {
  if (!request.body) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body as ReadableStream<Uint8Array>) {
    size += chunk.byteLength
    if (size > maxBodyBytes) throw tooLarge()
    chunks.push(chunk)
  }
  return joined(chunks, size)
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch (error) {
    throw new Problem('malformed', 'The body is not UTF-8.', { cause: error })
  }
}
