import type { Word } from '../resp.ts'
import { integerOf } from './numbers.ts'
import type { Run, Store } from './store.ts'
import {
  compareIds,
  idOf,
  idText,
  indexOf,
  nextId,
  trim,
  type Entry,
  type Id,
  type Stream,
  type Trim,
} from './stream.ts'

const syntax = 'ERR syntax error'
const newest = Number.MAX_SAFE_INTEGER

/** Streams without groups: ioredis-mock gives ids that are none and forgets what was read. */
export const streams: Record<string, Run> = {
  xadd: (store, args) => xadd(store, args),
  xlen: (store, [key]) => store.stream(String(key))?.entries.length ?? 0,
  xrange: (store, [key, from = '', to = '', ...rest]) => range(store, key, from, to, rest, false),
  xrevrange: (store, [key, to = '', from = '', ...rest]) => range(store, key, from, to, rest, true),
  xdel(store, [key, ...ids]) {
    const stream = store.stream(String(key))
    const gone = ids.map((id) => idOf(String(id), 0))
    if (!stream) return 0
    const before = stream.entries.length
    stream.entries = stream.entries.filter(([id]) => !gone.some((each) => compareIds(each, id) === 0))
    return before - stream.entries.length
  },
  xtrim(store, [key, ...words]) {
    const { how, used } = readTrim(words)
    if (!how || used !== words.length) throw new Error(syntax)
    const stream = store.stream(String(key))
    return stream ? trim(stream, how) : 0
  },
  xread: (store, words) => xread(store, words),
}

function xadd(store: Store, [key, ...words]: readonly Word[]): string | null {
  const isOnlyThere = String(words[0]).toLowerCase() === 'nomkstream'
  const options = isOnlyThere ? words.slice(1) : words
  const { how, used } = readTrim(options)
  const [id, ...fields] = options.slice(used)
  if (id === undefined || fields.length === 0 || fields.length % 2 !== 0) {
    throw new Error("ERR wrong number of arguments for 'xadd' command")
  }
  const held = store.stream(String(key))
  if (!held && isOnlyThere) return null
  const stream: Stream = held ?? { entries: [], last: [0, 0] }
  const next = nextId(String(id), stream)
  stream.entries.push([next, fields])
  stream.last = next
  if (how) trim(stream, how)
  if (!held) store.set(String(key), () => stream)
  return idText(next)
}

/** `MAXLEN ~ 1000`, `MINID 5-0`, perhaps with a `LIMIT`, at the beginning of these words. */
function readTrim(words: readonly Word[]): { how?: Trim; used: number } {
  const by = String(words[0]).toLowerCase()
  if (by !== 'maxlen' && by !== 'minid') return { used: 0 }
  let used = words[1] === '~' || words[1] === '=' ? 2 : 1
  const value = words[used++]
  if (value === undefined) throw new Error(syntax)
  if (String(words[used]).toLowerCase() === 'limit') used += 2
  if (by === 'minid') return { how: { by, least: idOf(String(value), 0) }, used }
  const most = integerOf(value)
  if (most < 0) throw new Error('ERR The MAXLEN argument must be >= 0.')
  return { how: { by, most }, used }
}

function range(
  store: Store,
  key: Word | undefined,
  from: Word,
  to: Word,
  [option, count]: readonly Word[],
  isReversed: boolean,
): unknown {
  const first = bound(String(from), 'from')
  const last = bound(String(to), 'to')
  if (option !== undefined && (String(option).toLowerCase() !== 'count' || count === undefined))
    throw new Error(syntax)
  const most = count === undefined ? Infinity : integerOf(count)
  const stream = store.stream(String(key))
  if (!stream || compareIds(first, last) > 0) return []
  const found = stream.entries.slice(indexOf(stream, first), indexOf(stream, [last[0], last[1] + 1]))
  if (isReversed) found.reverse()
  return found.slice(0, Math.max(most, 0)).map(shown)
}

function bound(text: string, side: 'from' | 'to'): Id {
  if (text === '-') return [0, 0]
  if (text === '+') return [newest, newest]
  if (!text.startsWith('(')) return idOf(text, side === 'from' ? 0 : newest)
  const [ms, seq] = idOf(text.slice(1), side === 'from' ? 0 : newest)
  if (side === 'from') return [ms, seq + 1]
  return seq === 0 ? [ms - 1, newest] : [ms, seq - 1]
}

/** What came after the given ids; nothing at all when nothing did. */
function xread(store: Store, words: readonly Word[]): unknown {
  const at = words.findIndex((word) => String(word).toLowerCase() === 'streams')
  const hasCount = at === 2 && String(words[0]).toLowerCase() === 'count'
  if (at === -1 || (at !== 0 && !hasCount)) throw new Error(syntax)
  const count = hasCount ? integerOf(words[1] ?? '') : 0
  const most = count > 0 ? count : Infinity
  const rest = words.slice(at + 1)
  if (rest.length === 0 || rest.length % 2 !== 0) {
    throw new Error(
      "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified.",
    )
  }
  const half = rest.length / 2
  const found = rest.slice(0, half).flatMap((key, i) => {
    const after = String(rest[half + i])
    const stream = store.stream(String(key))
    const id: Id = after === '$' ? (stream?.last ?? [0, 0]) : idOf(after, 0)
    const entries = stream ? stream.entries.slice(indexOf(stream, [id[0], id[1] + 1])).slice(0, most) : []
    return entries.length === 0 ? [] : [[key, entries.map(shown)]]
  })
  return found.length === 0 ? null : found
}

const shown = ([id, fields]: Entry): unknown => [idText(id), fields]
