import type { Word } from '../resp.ts'
import { floatOf, integerOf } from './numbers.ts'
import { wrongType, type Run, type Store } from './store.ts'

type Member = { score: number; value: string }
type Sorted = Map<string, Member>

/** The commands on sorted sets whose scores ioredis-mock reads otherwise than Redis: it cuts the fractions of bounds. */
export const sortedSets: Record<string, Run> = {
  zadd: (store, [key, ...words]) => zadd(store, String(key), words),
  zincrby: (store, [key, by = '', member = '']) => zadd(store, String(key), ['INCR', by, member]),
  zscore: (store, [key, member]) => shown(sortedOf(store, String(key)).get(String(member))?.score),
  zmscore: (store, [key, ...members]) =>
    members.map((member) => shown(sortedOf(store, String(key)).get(String(member))?.score)),
  zpopmin: (store, [key, count]) => pop(store, String(key), count, false),
  zpopmax: (store, [key, count]) => pop(store, String(key), count, true),
  zcount: (store, [key, from = '', to = '']) => between(store, String(key), from, to).length,
  zremrangebyscore(store, [key, from = '', to = '']) {
    const gone = between(store, String(key), from, to)
    const sorted = sortedOf(store, String(key))
    for (const { value } of gone) sorted.delete(value)
    store.set(String(key), sorted)
    return gone.length
  },
  zrangebyscore: (store, [key, from = '', to = '', ...rest]) =>
    pick(between(store, String(key), from, to), rest, 'ERR syntax error'),
  zrevrangebyscore: (store, [key, to = '', from = '', ...rest]) =>
    pick(between(store, String(key), from, to).toReversed(), rest, 'ERR syntax error'),
}

function sortedOf(store: Store, key: string): Sorted {
  const value = store.get(key)
  if (value === undefined) return new Map()
  if (!(value instanceof Map)) throw new Error(wrongType)
  // What is in a map of the mock is what this file and ioredis-mock put there, in one shape.
  return value as Sorted
}

const shown = (score: number | undefined): string | null => {
  if (score === undefined) return null
  if (Number.isFinite(score)) return String(score)
  return score > 0 ? 'inf' : '-inf'
}

const compare = (a: Member, b: Member): number => {
  if (a.score !== b.score) return a.score - b.score
  if (a.value === b.value) return 0
  return a.value < b.value ? -1 : 1
}

function zadd(store: Store, key: string, words: readonly Word[]): unknown {
  const flags = new Set<string>()
  let at = 0
  for (; /^(nx|xx|gt|lt|ch|incr)$/i.test(String(words[at])); at++) flags.add(String(words[at]).toLowerCase())
  const pairs = words.slice(at)
  if (pairs.length === 0 || pairs.length % 2 !== 0) throw new Error('ERR syntax error')
  const isIncrement = flags.has('incr')
  if (flags.has('nx') && flags.has('xx')) {
    throw new Error('ERR XX and NX options at the same time are not compatible')
  }
  if (['nx', 'gt', 'lt'].filter((flag) => flags.has(flag)).length > 1) {
    throw new Error('ERR GT, LT, and/or NX options at the same time are not compatible')
  }
  if (isIncrement && pairs.length > 2)
    throw new Error('ERR INCR option supports a single increment-element pair')
  const wanted = pairs.flatMap((word, i) =>
    i % 2 === 0 ? [{ score: floatOf(word), value: String(pairs[i + 1]) }] : [],
  )

  const sorted = sortedOf(store, key)
  let [added, changed] = [0, 0]
  let result: string | null = null
  for (const { score: given, value } of wanted) {
    const held = sorted.get(value)?.score
    const score = isIncrement ? (held ?? 0) + given : given
    if (Number.isNaN(score)) throw new Error('ERR resulting score is not a number (NaN)')
    const isHeldBack =
      held === undefined
        ? flags.has('xx')
        : flags.has('nx') || (flags.has('gt') && score <= held) || (flags.has('lt') && score >= held)
    if (isHeldBack) continue
    if (held === undefined) added++
    else if (held !== score) changed++
    sorted.set(value, { score, value })
    result = shown(score)
  }
  if (sorted.size > 0) store.set(key, sorted)
  if (isIncrement) return result
  return flags.has('ch') ? added + changed : added
}

function pop(store: Store, key: string, count: Word | undefined, isHighest: boolean): string[] {
  const most = count === undefined ? 1 : integerOf(count)
  if (most < 0) throw new Error('ERR value is out of range, must be positive')
  const sorted = sortedOf(store, key)
  const members = [...sorted.values()].sort(compare)
  const gone = (isHighest ? members.reverse() : members).slice(0, most)
  for (const { value } of gone) sorted.delete(value)
  if (gone.length > 0) store.set(key, sorted)
  return gone.flatMap(({ value, score }) => [value, shown(score) ?? ''])
}

function between(store: Store, key: string, from: Word, to: Word): Member[] {
  const [low, high] = [boundOf(from), boundOf(to)]
  return [...sortedOf(store, key).values()]
    .filter(({ score }) => (low.isOpen ? score > low.value : score >= low.value))
    .filter(({ score }) => (high.isOpen ? score < high.value : score <= high.value))
    .sort(compare)
}

function boundOf(word: Word): { value: number; isOpen: boolean } {
  const text = String(word)
  const isOpen = text.startsWith('(')
  const value = /^[+-]?inf$/i.test(text.slice(isOpen ? 1 : 0))
    ? text.includes('-')
      ? -Infinity
      : Infinity
    : Number(text.slice(isOpen ? 1 : 0))
  if (Number.isNaN(value)) throw new Error('ERR min or max is not a float')
  return { value, isOpen }
}

/** `LIMIT 0 10` and `WITHSCORES`. */
function pick(members: readonly Member[], options: readonly Word[], complaint: string): string[] {
  let [offset, count, hasScores] = [0, Infinity, false]
  for (let i = 0; i < options.length; i++) {
    const option = String(options[i]).toLowerCase()
    if (option === 'withscores') hasScores = true
    else if (option === 'limit' && i + 2 < options.length) {
      offset = integerOf(options[++i] ?? '')
      const most = integerOf(options[++i] ?? '')
      count = most < 0 ? Infinity : most
    } else throw new Error(complaint)
  }
  const picked = offset < 0 ? [] : members.slice(offset, offset + count)
  return picked.flatMap(({ value, score }) => (hasScores ? [value, shown(score) ?? ''] : [value]))
}
