import { createHash } from 'node:crypto'
import type { Engine } from './engine.ts'

export type Outcome = { result: unknown } | { error: string }

/** What Upstash does not have over REST. */
const refused = new Set(
  'watch unwatch select blpop brpop blmove blmpop bzpopmin bzpopmax bzmpop multi exec discard quit auth shutdown config debug'.split(' '),
)

/** Runs one command as its words came in JSON; whatever goes wrong is Redis's own sentence. */
export async function runCommand(engine: Engine, command: unknown): Promise<Outcome> {
  const isList = Array.isArray(command) && command.length > 0
  if (!isList || command.some((word) => typeof word === 'object')) return { error: 'ERR a command is a list of strings and numbers' }
  const [word = '', ...args] = command.map(String)
  const verb = word.toLowerCase()
  if (refused.has(verb)) return { error: `ERR Command is not available: '${word}'. See https://upstash.com/docs/redis/overall/rediscompatibility for details` }
  try {
    return { result: plain(await run(engine, verb, args)) }
  } catch (error) {
    return { error: error instanceof Error ? error.message : 'ERR' }
  }
}

/**
 * Upstash runs scripts that begin with a line of flags, which Redis refuses: it is dropped on the way. The client goes on
 * knowing the script by the SHA-1 of what it sent, so that is remembered here.
 */
function run(engine: Engine, verb: string, args: string[]): Promise<unknown> {
  const [script = '', ...rest] = args
  switch (verb) {
    case 'eval':
    case 'eval_ro':
      remember(engine, script)
      return engine.call('eval', [withoutFlags(script), ...rest])
    case 'evalsha':
    case 'evalsha_ro': {
      const known = engine.scripts.get(script.toLowerCase())
      if (known === undefined) throw new Error('NOSCRIPT No matching script. Please use EVAL.')
      return engine.call('eval', [withoutFlags(known), ...rest])
    }
    case 'script':
      return Promise.resolve(scripts(engine, script.toLowerCase(), rest))
    default:
      return engine.call(verb, args)
  }
}

function scripts(engine: Engine, what: string, args: readonly string[]): unknown {
  if (what === 'load') return remember(engine, args[0] ?? '')
  if (what === 'exists') return args.map((sha) => (engine.scripts.has(sha.toLowerCase()) ? 1 : 0))
  if (what === 'flush') {
    engine.scripts.clear()
    return 'OK'
  }
  throw new Error(`ERR unknown subcommand '${what}'`)
}

function remember(engine: Engine, script: string): string {
  const sha = createHash('sha1').update(script).digest('hex')
  engine.scripts.set(sha, script)
  return sha
}

const withoutFlags = (script: string): string => script.replace(/^#!lua[^\n]*\n/, '\n')

/** Redis has no booleans: Lua's false is nil, its true is 1. */
function plain(value: unknown): unknown {
  if (value === false || value === undefined) return null
  if (value === true) return 1
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  if (value instanceof Error) return value.message
  if (Array.isArray(value)) return value.map(plain)
  // HGETALL and its like come as objects; over REST they are lists of names and values.
  if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([name, held]) => [name, plain(held)])
  return value
}
