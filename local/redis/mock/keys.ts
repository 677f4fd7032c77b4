import { ok, Status } from '../reply.ts'
import type { Word } from '../resp.ts'
import { globTest } from './glob.ts'
import { bigintOf, integerOf } from './numbers.ts'
import type { Run, Store } from './store.ts'

const syntax = 'ERR syntax error'

/** The commands on names and how long they live, all of them: ioredis-mock takes NX, XX, GT and LT for nothing. */
export const keys: Record<string, Run> = {
  del: (store, names) => names.filter((name) => store.delete(String(name))).length,
  unlink: (store, names) => names.filter((name) => store.delete(String(name))).length,
  exists: (store, names) => names.filter((name) => store.has(String(name))).length,
  touch: (store, names) => names.filter((name) => store.has(String(name))).length,
  type: (store, [name]) => new Status(store.typeOf(String(name))),
  rename: (store, names) => {
    rename(store, names)
    return ok
  },
  renamenx(store, names) {
    if (!store.has(String(names[0]))) throw new Error('ERR no such key')
    if (store.has(String(names[1]))) return 0
    rename(store, names)
    return 1
  },
  expire: (store, args) => expire(store, args, 'ex'),
  pexpire: (store, args) => expire(store, args, 'px'),
  expireat: (store, args) => expire(store, args, 'exat'),
  pexpireat: (store, args) => expire(store, args, 'pxat'),
  ttl: (store, [name]) => left(store, name, (end) => Math.floor((end - Date.now() + 500) / 1000)),
  pttl: (store, [name]) => left(store, name, (end) => end - Date.now()),
  expiretime: (store, [name]) => left(store, name, (end) => Math.floor((end + 500) / 1000)),
  pexpiretime: (store, [name]) => left(store, name, (end) => end),
  persist(store, [name]) {
    if (store.endOf(String(name)) === undefined) return 0
    store.keepForever(String(name))
    return 1
  },
  keys: (store, [pattern = '*']) => store.keys().filter(globTest(String(pattern))),
  scan: (store, [cursor = '', ...options]) => scan(store, cursor, options),
  dbsize: (store) => store.keys().length,
  flushdb: (store) => {
    store.clear()
    return ok
  },
  flushall: (store) => {
    store.clear()
    return ok
  },
  ping: (_, [word]) => word ?? new Status('PONG'),
  client: (_, [what]) => (String(what).toLowerCase() === 'setinfo' ? ok : null),
}

/** When a time to live that begins now ends, in milliseconds. */
export function endFrom(time: Word, unit: 'ex' | 'px' | 'exat' | 'pxat', verb: string): number {
  const value = integerOf(time)
  const scale = unit.startsWith('ex') ? 1000 : 1
  if (value <= 0 || value > Number.MAX_SAFE_INTEGER / scale) {
    throw new Error(`ERR invalid expire time in '${verb}' command`)
  }
  return value * scale + (unit.endsWith('at') ? 0 : Date.now())
}

function expire(
  store: Store,
  [name, time = '', ...flags]: readonly Word[],
  unit: 'ex' | 'px' | 'exat' | 'pxat',
): number {
  const key = String(name)
  const end =
    Number(bigintOf(time)) * (unit.startsWith('ex') ? 1000 : 1) + (unit.endsWith('at') ? 0 : Date.now())
  const wanted = flags.map((flag) => String(flag).toLowerCase())
  for (const flag of wanted) {
    if (!['nx', 'xx', 'gt', 'lt'].includes(flag)) throw new Error(`ERR Unsupported option ${flag}`)
  }
  if (!store.has(key)) return 0
  const current = store.endOf(key)
  const isHeld = wanted.some((flag) => {
    if (flag === 'nx') return current !== undefined
    if (flag === 'xx') return current === undefined
    return flag === 'gt' ? end <= (current ?? Infinity) : end >= (current ?? Infinity)
  })
  if (isHeld) return 0
  store.endAt(key, end)
  return 1
}

function left(store: Store, name: Word | undefined, of: (endMs: number) => number): number {
  if (!store.has(String(name))) return -2
  const end = store.endOf(String(name))
  return end === undefined ? -1 : of(end)
}

function rename(store: Store, [from, to]: readonly Word[]): void {
  const value = store.get(String(from))
  if (value === undefined) throw new Error('ERR no such key')
  const end = store.endOf(String(from))
  store.delete(String(from))
  store.delete(String(to))
  store.set(String(to), value)
  if (end !== undefined) store.endAt(String(to), end)
}

/** All in one turn: the cursor says at once that this is the end. */
function scan(store: Store, cursor: Word, options: readonly Word[]): unknown {
  bigintOf(cursor, 'ERR invalid cursor')
  let names = store.keys()
  for (let i = 0; i < options.length; i += 2) {
    const [option, value] = [String(options[i]).toLowerCase(), options[i + 1]]
    if (value === undefined) throw new Error(syntax)
    if (option === 'match') names = names.filter(globTest(String(value)))
    else if (option === 'type')
      names = names.filter((name) => store.typeOf(name) === String(value).toLowerCase())
    else if (option !== 'count' || integerOf(value) < 1) throw new Error(syntax)
  }
  return ['0', names]
}
