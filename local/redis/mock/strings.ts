import { Failure, ok } from '../reply.ts'
import type { Word } from '../resp.ts'
import { endFrom } from './keys.ts'
import { bigintOf, floatOf, integerOf, sum, toInteger } from './numbers.ts'
import type { Run, Store } from './store.ts'

const syntax = 'ERR syntax error'

/** The commands on strings that ioredis-mock lacks or answers otherwise than Redis. */
export const strings: Record<string, Run> = {
  get: (store, [key]) => store.text(String(key)) ?? null,
  set: (store, args) => set(store, args),
  setnx: (store, [key, value = '']) => (set(store, [key ?? '', value, 'NX']) === null ? 0 : 1),
  setex: (store, [key, seconds, value]) => setFor(store, 'setex', key, seconds, value, 'EX'),
  psetex: (store, [key, ms, value]) => setFor(store, 'psetex', key, ms, value, 'PX'),
  getset: (store, [key = '', value = '']) => set(store, [key, value, 'GET']),
  getdel(store, [key]) {
    const value = store.text(String(key)) ?? null
    store.delete(String(key))
    return value
  },
  getex(store, [key = '', ...options]) {
    const value = store.text(String(key))
    const { end, isForever } = readOptions(options, 'getex')
    if (value === undefined) return null
    if (end !== undefined) store.endAt(String(key), end)
    if (isForever) store.keepForever(String(key))
    return value
  },
  mget: (store, keys) =>
    keys.map((key) => (store.typeOf(String(key)) === 'string' ? store.text(String(key)) : null)),
  mset: (store, pairs) => setMany(store, pairs, 'mset'),
  msetnx(store, pairs) {
    if (pairs.some((key, i) => i % 2 === 0 && store.has(String(key)))) return 0
    setMany(store, pairs, 'msetnx')
    return 1
  },
  strlen: (store, [key]) => Buffer.byteLength(store.text(String(key)) ?? ''),
  append(store, [key, more = '']) {
    const bytes = Buffer.concat([Buffer.from(store.text(String(key)) ?? ''), Buffer.from(more)])
    store.set(String(key), textOf(bytes))
    return bytes.length
  },
  getrange: (store, args) => getRange(store, args),
  substr: (store, args) => getRange(store, args),
  setrange(store, [key, offset = '', part = '']) {
    const at = integerOf(offset)
    if (at < 0) throw new Error('ERR offset is out of range')
    const old = Buffer.from(store.text(String(key)) ?? '')
    const added = Buffer.from(part)
    if (added.length === 0) return old.length
    const bytes = Buffer.alloc(Math.max(old.length, at + added.length))
    old.copy(bytes)
    added.copy(bytes, at)
    store.set(String(key), textOf(bytes))
    return bytes.length
  },
  incr: (store, [key]) => count(store, key, 1n),
  decr: (store, [key]) => count(store, key, -1n),
  incrby: (store, [key, by = '']) => count(store, key, bigintOf(by)),
  decrby: (store, [key, by = '']) => count(store, key, -bigintOf(by)),
  incrbyfloat(store, [key, by = '']) {
    const total = floatOf(store.text(String(key)) ?? '0') + floatOf(by)
    if (!Number.isFinite(total)) throw new Error('ERR increment would produce NaN or Infinity')
    store.set(String(key), String(total))
    return String(total)
  },
}

type Options = { end?: number; isForever: boolean; keepsEnd: boolean; only?: 'nx' | 'xx'; wantsOld: boolean }

function readOptions(words: readonly Word[], verb: string): Options {
  const options: Options = { isForever: false, keepsEnd: false, wantsOld: false }
  for (let i = 0; i < words.length; i++) {
    const word = String(words[i]).toLowerCase()
    if (word === 'ex' || word === 'px' || word === 'exat' || word === 'pxat') {
      const time = words[++i]
      if (time === undefined || options.end !== undefined || options.keepsEnd) throw new Error(syntax)
      options.end = endFrom(time, word, verb)
    } else if (word === 'persist' && verb === 'getex') options.isForever = true
    else if (word === 'keepttl' && options.end === undefined) options.keepsEnd = true
    else if (word === 'get' && verb === 'set') options.wantsOld = true
    else if ((word === 'nx' || word === 'xx') && (options.only ?? word) === word && verb === 'set')
      options.only = word
    else throw new Error(syntax)
  }
  return options
}

function set(store: Store, [name = '', value = '', ...words]: readonly Word[]): unknown {
  const key = String(name)
  const { end, keepsEnd, only, wantsOld } = readOptions(words, 'set')
  const old = wantsOld ? (store.text(key) ?? null) : null
  if (only !== undefined && store.has(key) !== (only === 'xx')) return wantsOld ? old : null
  store.set(key, value)
  if (!keepsEnd) store.keepForever(key)
  if (end !== undefined) store.endAt(key, end)
  return wantsOld ? old : ok
}

function setFor(
  store: Store,
  verb: string,
  key: Word = '',
  time: Word = '',
  value: Word = '',
  unit: 'EX' | 'PX' = 'EX',
): unknown {
  const end = endFrom(time, unit === 'EX' ? 'ex' : 'px', verb)
  set(store, [key, value])
  store.endAt(String(key), end)
  return ok
}

function setMany(store: Store, pairs: readonly Word[], verb: string): unknown {
  if (pairs.length % 2 !== 0) return new Failure(`ERR wrong number of arguments for '${verb}' command`)
  for (let i = 0; i < pairs.length; i += 2) set(store, [pairs[i] ?? '', pairs[i + 1] ?? ''])
  return ok
}

function count(store: Store, key: Word | undefined, by: bigint): number | bigint {
  const total = sum(bigintOf(store.text(String(key)) ?? '0'), by)
  store.set(String(key), String(total))
  return toInteger(total)
}

function getRange(store: Store, [key, first = '', last = '']: readonly Word[]): unknown {
  const bytes = Buffer.from(store.text(String(key)) ?? '')
  const at = (word: Word): number => {
    const index = integerOf(word)
    return index < 0 ? Math.max(bytes.length + index, 0) : index
  }
  const [from, to] = [at(first), integerOf(last) < -bytes.length ? -1 : at(last)]
  return textOf(bytes.subarray(from, Math.max(to + 1, from)))
}

const textOf = (bytes: Buffer): string | Buffer => {
  const text = bytes.toString()
  return text.includes('\ufffd') ? bytes : text
}
