import type { Command, Listening } from './engine.ts'
import type { Word } from './resp.ts'

/** What a request asks for. */
export type Call =
  | { kind: 'one' | 'pipeline' | 'transaction'; commands: readonly Command[] }
  | { kind: 'stream'; listening: Listening }
  | { kind: 'malformed'; message: string }

const malformed = (message: string): Call => ({ kind: 'malformed', message: `ERR ${message}` })

/** Reads a request: a command as JSON, a batch of them, or a command as a path. `query` is without the token. */
export function readCall(path: string, query: readonly [string, string][], body: Buffer): Call {
  if (path === '/' || path === '') {
    const command = asCommand(jsonOf(body))
    return command ? { kind: 'one', commands: [command] } : malformed('failed to parse command')
  }
  if (path === '/pipeline') return readBatch('pipeline', body)
  if (path === '/multi-exec') return readBatch('transaction', body)
  const segments = segmentsOf(path)
  const [verb, ...args] = segments ?? []
  if (verb === undefined || verb === '') return malformed('failed to parse path')
  const how = verb.toLowerCase()
  if (how === 'monitor') return { kind: 'stream', listening: { kind: how } }
  if (how === 'subscribe' || how === 'psubscribe') {
    if (args.length === 0) return malformed(`wrong number of arguments for '${how}' command`)
    return { kind: 'stream', listening: { kind: how, names: args } }
  }
  const words: Word[] = args
  if (body.length > 0) words.push(textOf(body))
  for (const [name, value] of query) words.push(...(value === '' ? [name] : [name, value]))
  return { kind: 'one', commands: [[verb, ...words]] }
}

function readBatch(kind: 'pipeline' | 'transaction', body: Buffer): Call {
  const list = jsonOf(body)
  const what = kind === 'pipeline' ? 'pipeline' : 'multi-exec'
  if (!Array.isArray(list)) return malformed(`failed to parse ${what} request`)
  if (list.length === 0) return malformed(`empty ${what} request`)
  const commands: Command[] = []
  for (const each of list) {
    const command = asCommand(each)
    if (!command) return malformed(`failed to parse ${what} request`)
    commands.push(command)
  }
  return { kind, commands }
}

function asCommand(value: unknown): Command | undefined {
  if (!Array.isArray(value)) return undefined
  const words: string[] = []
  for (const word of value) {
    if (typeof word === 'string') words.push(word)
    else if (typeof word === 'number' || typeof word === 'boolean') words.push(String(word))
    else return undefined
  }
  const [verb, ...rest] = words
  return verb === undefined || verb === '' ? undefined : [verb, ...rest]
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function segmentsOf(path: string): string[] | undefined {
  try {
    return path.slice(1).split('/').map(decodeURIComponent)
  } catch {
    return undefined
  }
}

/** A value may be any bytes; those that are text are easier to read as text. */
function textOf(body: Buffer): Word {
  const text = body.toString()
  return text.includes('\ufffd') ? body : text
}
