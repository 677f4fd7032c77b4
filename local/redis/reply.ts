/** What Redis says without data: `OK`, `PONG`, `QUEUED`. */
export class Status {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Redis's own sentence about what went wrong, its code first. It is a value: in a batch it stands among the others. */
export class Failure {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** One answer of Redis; a string or a buffer is data. */
export type Reply = null | number | bigint | string | Buffer | Status | Failure | readonly Reply[]

export const ok = new Status('OK')

/** An answer as the REST API writes it; in base64 every string is, but `OK` and errors. */
export function toJson(reply: Reply, isBase64: boolean): string {
  if (reply === null) return 'null'
  if (typeof reply === 'number' || typeof reply === 'bigint') return String(reply)
  if (typeof reply === 'string') {
    return isBase64 ? `"${Buffer.from(reply).toString('base64')}"` : JSON.stringify(reply)
  }
  if (Buffer.isBuffer(reply)) {
    return isBase64 ? `"${reply.toString('base64')}"` : JSON.stringify(reply.toString())
  }
  if (reply instanceof Status) {
    return isBase64 && reply.text !== 'OK' ? toJson(reply.text, true) : JSON.stringify(reply.text)
  }
  if (reply instanceof Failure) return JSON.stringify(reply.text)
  let json = '['
  for (const each of reply) json += json === '[' ? toJson(each, isBase64) : `,${toJson(each, isBase64)}`
  return `${json}]`
}

/** `{"result":…}`, or `{"error":…}` for a command that failed. */
export function toEnvelope(reply: Reply, isBase64: boolean): string {
  return reply instanceof Failure
    ? `{"error":${JSON.stringify(reply.text)}}`
    : `{"result":${toJson(reply, isBase64)}}`
}

/** An answer in Redis's own protocol, version 2. */
export function toResp(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n')
  if (typeof reply === 'number' || typeof reply === 'bigint') return Buffer.from(`:${reply}\r\n`)
  if (reply instanceof Status) return Buffer.from(`+${reply.text}\r\n`)
  if (reply instanceof Failure) return Buffer.from(`-${reply.text}\r\n`)
  if (typeof reply === 'string' || Buffer.isBuffer(reply)) {
    const bytes = Buffer.from(reply)
    return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
  }
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(toResp)])
}
