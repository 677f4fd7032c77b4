import { StepFailure } from '#src/domain/failure.ts'
import { failureOfStatus } from '#src/domain/http-failure.ts'
import { joined } from '#src/domain/pieces.ts'
import type { Lookup } from './lookup.ts'
import { publicUrl } from './public-url.ts'

export type PublicFetch = (url: string, init?: RequestInit) => Promise<Response>

/**
 * A fetch for servers that a tenant names: public ones only, asked without following where they point, and read no further
 * and no longer than this. What comes back is read already.
 */
export function publicFetch(options: {
  ownUrl: string
  allowPrivate: boolean
  /** Nothing is read when it is 0. */
  mostBytes: number
  patienceMs: number
  /** The platform's own when absent. */
  lookup?: Lookup
}): PublicFetch {
  return async (url, init = {}) => {
    const target = await publicUrl(url, options)
    let response: Response
    let body: Uint8Array<ArrayBuffer> | null = null
    try {
      const signal = AbortSignal.timeout(options.patienceMs)
      response = await fetch(target, { ...init, redirect: 'manual', signal })
      if (options.mostBytes > 0) body = await readAtMost(response, options.mostBytes, target.host)
      else await response.body?.cancel()
    } catch (cause) {
      if (cause instanceof StepFailure) throw cause
      const seconds = options.patienceMs / 1_000
      throw new StepFailure(
        'unreachable',
        `${target.host} cannot be reached, or took longer than ${seconds} s.`,
        {
          retryable: true,
          cause,
        },
      )
    }
    if (response.status >= 300 && response.status < 400)
      throw failureOfStatus(response.status, {}, target.host, new Date())
    const { status, headers } = response
    const isBodiless = body === null || status === 204 || status === 205
    return new Response(isBodiless ? null : body, { status, headers })
  }
}

async function readAtMost(
  response: Response,
  mostBytes: number,
  host: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  if (response.body) {
    for await (const chunk of response.body as ReadableStream<Uint8Array<ArrayBuffer>>) {
      size += chunk.byteLength
      if (size > mostBytes)
        throw new StepFailure(
          'too_large',
          `${host} answers with more than ${Math.floor(mostBytes / 1024)} KB.`,
        )
      chunks.push(chunk)
    }
  }
  return joined(chunks, size)
}
