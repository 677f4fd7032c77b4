import { ok } from '../reply.ts'
import { integerOf } from './numbers.ts'
import { wrongType, type Run, type Store } from './store.ts'

/** The commands on lists that ioredis-mock answers otherwise than Redis. */
export const lists: Record<string, Run> = {
  lset(store, [key, index = '', value]) {
    const list = listOf(store, String(key))
    if (list.length === 0) throw new Error('ERR no such key')
    const at = integerOf(index)
    const place = at < 0 ? list.length + at : at
    if (place < 0 || place >= list.length) throw new Error('ERR index out of range')
    store.set(String(key), list.with(place, value))
    return ok
  },
  linsert(store, [key, where, pivot, value]) {
    const side = String(where).toLowerCase()
    if (side !== 'before' && side !== 'after') throw new Error('ERR syntax error')
    const list = listOf(store, String(key))
    if (list.length === 0) return 0
    const at = list.findIndex((each) => String(each) === String(pivot))
    if (at === -1) return -1
    store.set(String(key), list.toSpliced(side === 'before' ? at : at + 1, 0, value))
    return list.length + 1
  },
}

function listOf(store: Store, key: string): readonly unknown[] {
  const value = store.get(key)
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new Error(wrongType)
  return value
}
