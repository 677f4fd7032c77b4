/** The name of an entry: milliseconds, and a number among those of one millisecond. */
export type Id = readonly [ms: number, seq: number]

export type Entry = readonly [id: Id, fields: readonly (string | Buffer)[]]

export type Stream = { entries: Entry[]; last: Id }

export const compareIds = (a: Id, b: Id): number => a[0] - b[0] || a[1] - b[1]

export const idText = ([ms, seq]: Id): string => `${ms}-${seq}`

const invalid = 'ERR Invalid stream ID specified as stream command argument'

/** An id as it is written; what is not said is the given number. */
export function idOf(text: string, missingSeq: number): Id {
  const [, ms, seq] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text) ?? []
  if (ms === undefined) throw new Error(invalid)
  return [Number(ms), seq === undefined ? missingSeq : Number(seq)]
}

/** The id of a new entry: given, half given (`5-*`), or left to the clock (`*`). */
export function nextId(text: string, { last }: Stream): Id {
  if (text === '*') {
    const now = Date.now()
    return now > last[0] ? [now, 0] : [last[0], last[1] + 1]
  }
  const half = text.endsWith('-*') ? idOf(text.slice(0, -2), 0) : undefined
  const id: Id = half ? [half[0], half[0] === last[0] ? last[1] + 1 : 0] : idOf(text, 0)
  if (id[0] === 0 && id[1] === 0) throw new Error('ERR The ID specified in XADD must be greater than 0-0')
  if (compareIds(id, last) <= 0) {
    throw new Error('ERR The ID specified in XADD is equal or smaller than the target stream top item')
  }
  return id
}

export type Trim = { by: 'maxlen'; most: number } | { by: 'minid'; least: Id }

/** Drops the oldest entries and says how many. */
export function trim(stream: Stream, how: Trim): number {
  const keep =
    how.by === 'maxlen'
      ? stream.entries.length - how.most
      : stream.entries.findIndex(([id]) => compareIds(id, how.least) >= 0)
  const dropped = keep === -1 && how.by === 'minid' ? stream.entries.length : Math.max(keep, 0)
  stream.entries.splice(0, dropped)
  return dropped
}

/** Where the first entry of at least this id stands. */
export function indexOf({ entries }: Stream, id: Id): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = entries[middle]
    if (entry && compareIds(entry[0], id) < 0) low = middle + 1
    else high = middle
  }
  return low
}
