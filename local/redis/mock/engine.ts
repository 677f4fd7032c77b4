import type { Command, Engine } from '../engine.ts'
import { Failure, ok, Status, type Reply } from '../reply.ts'
import type { Word } from '../resp.ts'
import { complaintOf, removing, typesWanted, withStatus } from './arity.ts'
import { Channels } from './channels.ts'
import { openEmulators } from './emulators.ts'
import { loadFengari } from './fengari.ts'
import { hashes } from './hashes.ts'
import { keys } from './keys.ts'
import { lists } from './lists.ts'
import { Lua } from './lua.ts'
import { integerOf } from './numbers.ts'
import { sortedSets } from './sorted-sets.ts'
import { wrongType, type Run, type Store } from './store.ts'
import { streams } from './streams.ts'
import { strings } from './strings.ts'

const sweepMs = 1_000

/** A Redis in memory: ioredis-mock, and our own commands where it lacks one or is wrong. It runs each in one go. */
export async function startMock(): Promise<Engine> {
  // Before ioredis-mock, which would load it otherwise.
  const fengari = loadFengari()
  const { store, emulators, client } = await openEmulators()
  const channels = new Channels()
  const commands = new Map<string, Run>([
    ...emulators,
    ...Object.entries({ ...keys, ...strings, ...hashes, ...lists, ...sortedSets, ...streams }),
  ])
  const lua: Lua = new Lua(fengari, (command) => execute(store, commands, command))
  for (const [verb, run] of Object.entries(withScripts(lua))) commands.set(verb, run)
  commands.set('publish', (_, [channel, message]) => channels.publish(String(channel), String(message)))
  commands.set('pubsub', (_, [what, ...args]) =>
    channels.describe(String(what).toLowerCase(), args.map(String)),
  )

  const runOne = (command: Command): Reply => {
    channels.show(command)
    return execute(store, commands, command)
  }
  const timer = setInterval(() => store.sweep(), sweepMs).unref()
  return {
    kind: 'mock',
    run: (batch) => batch.map(runOne),
    transact(batch) {
      const complaint = batch.map((command) => complaintOf(command[0].toLowerCase(), command)).find(Boolean)
      return complaint === undefined ? batch.map(runOne) : [new Failure(complaint)]
    },
    listen: (how, onEvent) => Promise.resolve(channels.listen(how, onEvent)),
    stop() {
      clearInterval(timer)
      client.disconnect()
      return Promise.resolve()
    },
  }
}

function execute(store: Store, commands: ReadonlyMap<string, Run>, command: Command): Reply {
  const verb = command[0].toLowerCase()
  const run = commands.get(verb)
  const complaint = complaintOf(verb, command) ?? (run ? undefined : `ERR the mock has no '${verb}' command`)
  if (complaint !== undefined || !run) return new Failure(complaint ?? '')
  const args = command.slice(1)
  try {
    const wanted = typesWanted.get(verb)
    const type = wanted === undefined ? 'none' : store.typeOf(String(args[0]))
    if (type !== 'none' && type !== wanted) return new Failure(wrongType)
    const result = run(store, args)
    if (removing.has(verb)) for (const key of args.slice(0, 2)) store.dropIfEmpty(String(key))
    return result === 'OK' && withStatus.has(verb) ? ok : toReply(result)
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return new Failure(/^[A-Z]{3,} /.test(text) ? text : `ERR ${text}`)
  }
}

/** What ioredis-mock answers is of several makes; over the wire there are but numbers, words and lists. */
function toReply(value: unknown): Reply {
  if (value === null || value === undefined || value === false) return null
  if (value === true) return 1
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string') return value
  if (Buffer.isBuffer(value) || value instanceof Status || value instanceof Failure) return value
  if (value instanceof Error) return new Failure(value.message)
  if (Array.isArray(value)) return value.map(toReply)
  return Object.entries(value).flatMap(([name, held]) => [name, toReply(held)])
}

function withScripts(lua: Lua): Record<string, Run> {
  const run = (sha: string, [count = '', ...rest]: readonly Word[]): Reply => {
    const keysCount = integerOf(count)
    if (keysCount < 0) throw new Error("ERR Number of keys can't be negative")
    if (keysCount > rest.length) throw new Error("ERR Number of keys can't be greater than number of args")
    return lua.run(sha, rest.slice(0, keysCount), rest.slice(keysCount))
  }
  const evaluate: Run = (_, [script = '', ...rest]) => run(lua.load(String(script)), rest)
  const evaluateSha: Run = (_, [sha = '', ...rest]) => run(String(sha).toLowerCase(), rest)
  return {
    eval: evaluate,
    eval_ro: evaluate,
    evalsha: evaluateSha,
    evalsha_ro: evaluateSha,
    script(_, [what, ...args]) {
      switch (String(what).toLowerCase()) {
        case 'load':
          return lua.load(String(args[0] ?? ''))
        case 'exists':
          return args.map((sha) => (lua.has(String(sha).toLowerCase()) ? 1 : 0))
        case 'flush':
          lua.flush()
          return ok
        default:
          throw new Error(`ERR unknown subcommand '${String(what)}'. Try SCRIPT HELP.`)
      }
    },
  }
}
