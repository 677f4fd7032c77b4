import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

import type { Batch, Statement } from './batch.ts'
import type { Login } from './connection.ts'
import { Failure } from './failure.ts'
import { toPgText } from './parameters.ts'

const largestRequest = 10 * 1024 * 1024

/** Reads who wants to log in where. The host of the connection string is not looked at: there is one server. */
export function readLogin(headers: IncomingHttpHeaders): Login {
  if (headers.authorization !== undefined) {
    throw new Failure(400, { message: 'logging in with a JWT is not possible on the local gateway' })
  }
  const header = headers['neon-connection-string']
  const url = typeof header === 'string' ? URL.parse(header) : null
  const user = decode(url?.username ?? '')
  const database = decode(url?.pathname.slice(1) ?? '')
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || user === '' || database === '') {
    throw new Failure(400, { message: 'invalid header: neon-connection-string' })
  }
  const password = decode(url.password)
  if (password === '')
    throw new Failure(400, { message: 'missing authentication credentials: required password' })
  return { user, database, password }
}

function decode(part: string): string {
  try {
    const text = decodeURIComponent(part)
    if (!text.includes('\0')) return text
  } catch {
    // A stray % is as invalid as a NUL.
  }
  throw new Failure(400, { message: 'invalid header: neon-connection-string' })
}

const isolationLevels = new Map([
  ['ReadUncommitted', 'READ UNCOMMITTED'],
  ['ReadCommitted', 'READ COMMITTED'],
  ['RepeatableRead', 'REPEATABLE READ'],
  ['Serializable', 'SERIALIZABLE'],
])

export type BatchOptions = { begin: string; echo: Record<string, string> }

/** The transaction that the headers ask for, and the headers that the reply repeats. */
export function readBatchOptions(headers: IncomingHttpHeaders): BatchOptions {
  const echo: Record<string, string> = {}
  let begin = 'BEGIN'
  const level = headers['neon-batch-isolation-level']
  if (level !== undefined) {
    const name = isolationLevels.get(String(level))
    if (!name) throw new Failure(400, { message: 'invalid isolation level' })
    begin += ` ISOLATION LEVEL ${name}`
    echo['Neon-Batch-Isolation-Level'] = String(level)
  }
  if (headers['neon-batch-read-only'] === 'true') {
    begin += ' READ ONLY'
    echo['Neon-Batch-Read-Only'] = 'true'
  }
  if (headers['neon-batch-deferrable'] === 'true') {
    begin += ' DEFERRABLE'
    echo['Neon-Batch-Deferrable'] = 'true'
  }
  return { begin, echo }
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = () =>
    new Failure(413, { message: `request is too large (max is ${largestRequest} bytes)` })
  if (Number(request.headers['content-length'] ?? 0) > largestRequest) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= largestRequest) return chunks.push(chunk)
      chunks.length = 0
      return reject(tooLarge())
    })
    request.on('end', () =>
      resolve((chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)).toString()),
    )
    request.on('error', reject)
  })
}

/** Parses the body of a request: one query, or a batch of them. */
export function readBatch(body: string, headers: IncomingHttpHeaders, begin: string): Batch {
  const asArray = headers['neon-array-mode'] === 'true'
  const rawText = headers['neon-raw-text-output'] === 'true'
  const json = parseJson(body)
  if (isObject(json) && Array.isArray(json.queries)) {
    return { statements: json.queries.map((query) => readStatement(query, asArray)), begin, rawText }
  }
  return { statements: [readStatement(json, asArray)], begin: undefined, rawText }
}

function readStatement(json: unknown, defaultAsArray: boolean): Statement {
  if (!isObject(json) || typeof json.query !== 'string')
    throw badBody('a query with a text in "query" was expected')
  const { query: sql, params = [], arrayMode } = json
  if (!Array.isArray(params)) throw badBody('"params" must be an array')
  if (params.length > 65_535) throw badBody('a query can have at most 65535 parameters')
  if (sql.includes('\0')) {
    throw new Failure(400, {
      message: 'invalid byte sequence for encoding "UTF8": 0x00',
      code: '22021',
      severity: 'ERROR',
    })
  }
  return {
    sql,
    parameters: params.map(toPgText),
    asArray: typeof arrayMode === 'boolean' ? arrayMode : defaultAsArray,
  }
}

function parseJson(body: string): unknown {
  try {
    const json: unknown = JSON.parse(body)
    return longNumber.test(body) ? JSON.parse(body, keepDigits) : json
  } catch (error) {
    throw badBody(error instanceof Error ? error.message : 'not JSON')
  }
}

/** Outside of texts, a number that a double may not hold: it is read again, digits and all. */
const longNumber = /[[:,]\s*-?[\d.]{16}/

/** Node knows JSON.rawJSON; the type library does not yet. */
const { rawJSON } = JSON as unknown as { rawJSON(this: void, text: string): unknown }

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined || String(value) === context.source)
    return value
  return rawJSON(context.source)
}

const badBody = (reason: string) =>
  new Failure(400, { message: `could not parse the HTTP request body: ${reason}` })
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
