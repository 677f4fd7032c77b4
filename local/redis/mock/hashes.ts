import type { Word } from '../resp.ts'
import { bigintOf, floatOf, sum, toInteger } from './numbers.ts'
import { wrongType, type Run, type Store } from './store.ts'

/** The commands on hashes that ioredis-mock answers otherwise than Redis. */
export const hashes: Record<string, Run> = {
  hget: (store, [key, field]) => valueOf(store, key, field) ?? null,
  hmget: (store, [key, ...fields]) => fields.map((field) => valueOf(store, key, field) ?? null),
  hstrlen: (store, [key, field]) => Buffer.byteLength(valueOf(store, key, field) ?? ''),
  hincrby(store, [key, field, by = '']) {
    const held = bigintOf(valueOf(store, key, field) ?? '0', 'ERR hash value is not an integer')
    const total = sum(held, bigintOf(by))
    put(store, key, field, String(total))
    return toInteger(total)
  },
  hincrbyfloat(store, [key, field, by = '']) {
    const total = floatOf(valueOf(store, key, field) ?? '0') + floatOf(by)
    put(store, key, field, String(total))
    return String(total)
  },
}

function hashOf(store: Store, key: Word | undefined): Map<string, Word> {
  const value = store.get(String(key))
  if (value === undefined) return new Map()
  if (store.typeOf(String(key)) !== 'hash') throw new Error(wrongType)
  return new Map(Object.entries(value))
}

const valueOf = (store: Store, key: Word | undefined, field: Word | undefined): Word | undefined =>
  hashOf(store, key).get(String(field))

function put(store: Store, key: Word | undefined, field: Word | undefined, value: string): void {
  const hash = hashOf(store, key)
  store.set(String(key), Object.fromEntries(hash.set(String(field), value)))
}
