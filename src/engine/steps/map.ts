import { begunItems, endItems, type BegunItem } from '#src/db/map-items.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { mostItems } from '#src/domain/item-place.ts'
import type { Json } from '#src/domain/json.ts'
import { stepMoves } from '#src/domain/run-state.ts'
import type { Dates, MapOver } from '#src/domain/step.ts'
import { resolve, type Scope } from '#src/domain/template.ts'
import { namesOf } from '../names.ts'
import type { StepOutcome, StepWork } from '../step.ts'
import { thinkItems } from '../think.ts'

/** Of the items' outputs that a map passes on. */
const mostOutputBytes = 256 * 1024

/** How soon a map looks again that was asked before its items had ended, as when a clock is a little behind. */
const lookAgainMs = 1_000

/** Where a map has got to: what it goes over, and where it stands inside another one its own name and when its time is up. */
type Place = { items: Json[]; map?: string; until?: string }

/**
 * Works out the items, then waits while they are worked on, so many at once; each is a row of its own. Asked again when
 * the last one has ended, it collects what they have given, in their order. Items that only think have ended already.
 */
export async function executeMap(work: StepWork<'map'>): Promise<StepOutcome> {
  const { definition, claimed, run, services } = work
  const inner = work.items === undefined ? null : definition.id
  const place = claimed.cursor as Place | null
  if (place) return lookedAfter(work, inner, place)
  const items = itemsOf(work)
  const ended = await thinkItems(work, items)
  const statements = ended.length === 0 ? [] : [endItems(run.id, { step: claimed, inner }, ended)]
  if (ended.length === items.length)
    return {
      result: succeeded(ended.map(({ output }) => output)),
      statements,
    }
  const { timeoutMs } = definition
  // A step's own time is watched with its attempt.
  const isLimited = inner !== null && timeoutMs !== undefined
  const until = isLimited && new Date(services.now().getTime() + timeoutMs).toISOString()
  return {
    result: {
      state: 'waiting',
      cursor: { items, ...(inner === null ? {} : { map: inner }), ...(until ? { until } : {}) },
      ...(isLimited ? { delayMs: timeoutMs } : {}),
      map: { total: items.length, atOnce: definition.map.atOnce, ended: ended.length },
    },
    statements,
  }
}

async function lookedAfter(
  { db, run, claimed, definition, services }: StepWork<'map'>,
  inner: string | null,
  { items, until }: Place,
): Promise<StepOutcome> {
  const begun = await begunItems(db, run.id, { step: claimed, inner }, mostOutputBytes)
  const isOver = begun.length === items.length && begun.every(({ state }) => stepMoves[state].length === 0)
  if (isOver) return collected(begun, inner)
  const leftMs = until === undefined ? Infinity : Date.parse(until) - services.now().getTime()
  if (leftMs <= 0)
    throw new StepFailure(
      'timeout',
      `Map "${definition.id}" took longer than its ${Math.round((definition.timeoutMs ?? 0) / 100) / 10} s.`,
    )
  return { result: { state: 'waiting', delayMs: Math.min(leftMs, lookAgainMs) } }
}

function collected(items: readonly BegunItem[], inner: string | null): StepOutcome {
  const failed = items.filter(({ state }) => state !== 'succeeded')
  const [first] = failed
  if (first) {
    const why = first.error ? `: ${first.error.message}` : ` (${first.state})`
    const which = inner === null ? '' : ` of "${inner}"`
    throw new StepFailure(
      'items_failed',
      `${failed.length} of ${items.length} items${which} failed; the first is item ${items.indexOf(first) + 1}${why}`,
    )
  }
  return { result: succeeded(items.map(({ output }) => output)) }
}

const succeeded = (results: readonly Json[]): StepOutcome['result'] => ({
  state: 'succeeded',
  rowsOut: 0,
  output: { items: results.length, results: [...results] },
  cursor: null,
})

/** What a map goes over. */
export function itemsOf(work: StepWork<'map'>): Json[] {
  const items = listOf(work.definition.map, namesOf(work))
  if (items.length <= mostItems) return items
  throw new StepFailure(
    'too_many_items',
    `A map has ${mostItems} items at most; this one has ${items.length > mostItems + 1 ? items.length : 'more'}.`,
  )
}

function listOf({ over }: MapOver, names: Scope): Json[] {
  if (typeof over === 'object' && !Array.isArray(over)) return datesOf(over, names)
  const items = resolve(over, names)
  if (Array.isArray(items)) return items
  throw new StepFailure(
    'not_a_list',
    `A map goes over a list; ${JSON.stringify(over)} gives ${kindOf(items)}.`,
  )
}

/** Every day, or the first day of every month, from one date to the other, as 2001-12-31. */
function datesOf({ dates }: Dates, names: Scope): string[] {
  const [from, to] = [dateOf(dates.from, names), dateOf(dates.to, names)]
  const list: string[] = []
  if (dates.by === 'month') from.setUTCDate(1)
  while (from.getTime() <= to.getTime() && list.length <= mostItems) {
    list.push(from.toISOString().slice(0, 10))
    if (dates.by === 'month') from.setUTCMonth(from.getUTCMonth() + 1)
    else from.setUTCDate(from.getUTCDate() + 1)
  }
  return list
}

function dateOf(template: string, names: Scope): Date {
  const text = resolve(template, names)
  const date = new Date(typeof text === 'string' ? `${text}T00:00:00Z` : Number.NaN)
  if (!Number.isNaN(date.getTime())) return date
  throw new StepFailure(
    'not_a_date',
    `A map over dates needs dates such as 2001-12-31; ${template} gives ${kindOf(text)}.`,
  )
}

const kindOf = (value: Json): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'a list'
      : typeof value === 'object'
        ? 'an object'
        : JSON.stringify(value)
