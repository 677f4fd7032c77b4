import type { IncomingMessage } from 'node:http'
import type { Outcome } from './command.ts'

const mostBytes = 10 * 1024 * 1024

/** A request's body; undefined when it is larger than Upstash takes. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= mostBytes) chunks.push(chunk)
  }
  return bytes > mostBytes ? undefined : Buffer.concat(chunks).toString('utf8')
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Every string but the simple OK, however deep. */
export function inBase64(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inBase64)
  return typeof value === 'string' && value !== 'OK' ? Buffer.from(value).toString('base64') : value
}

/** The answer in Redis's own protocol, version 2. */
export function respOf(outcome: Outcome): string {
  return 'error' in outcome ? `-${outcome.error}\r\n` : encode(outcome.result)
}

function encode(value: unknown): string {
  if (value === null || value === undefined) return '$-1\r\n'
  if (typeof value === 'number') return `:${value}\r\n`
  if (Array.isArray(value)) return `*${value.length}\r\n${value.map(encode).join('')}`
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text === 'OK' ? '+OK\r\n' : `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}
