import { endedItems, type EndedItem } from '#src/db/map-items.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Json } from '#src/domain/json.ts'
import type { Dates, MapOver } from '#src/domain/step.ts'
import { resolve, type Scope } from '#src/domain/template.ts'
import { namesOf } from '../names.ts'
import type { StepOutcome, StepWork } from '../step.ts'

const mostItems = 10_000
/** Of the items' outputs that a map passes on. */
const mostOutputBytes = 256 * 1024

/**
 * Works out the items, then waits while they are worked on, so many at once; each is a row of its own. Asked again when
 * the last one has ended, it collects what they have given, in their order.
 */
export async function executeMap(work: StepWork<'map'>): Promise<StepOutcome> {
  const { definition, claimed, db, run } = work
  if (claimed.answer) return collected(await endedItems(db, run.id, claimed.key, mostOutputBytes))
  const items = itemsOf(work)
  if (items.length === 0)
    return { result: { state: 'succeeded', rowsOut: 0, output: { items: 0, results: [] } } }
  return {
    result: {
      state: 'waiting',
      cursor: { items },
      map: { total: items.length, atOnce: definition.map.atOnce },
    },
  }
}

function collected(items: readonly EndedItem[]): StepOutcome {
  const failed = items.filter(({ state }) => state !== 'succeeded')
  const [first] = failed
  if (first) {
    const why = first.error ? `: ${first.error.message}` : ` (${first.state})`
    throw new StepFailure(
      'items_failed',
      `${failed.length} of ${items.length} items failed; the first is item ${first.index}${why}`,
    )
  }
  return {
    result: {
      state: 'succeeded',
      rowsOut: 0,
      output: { items: items.length, results: items.map(({ output }) => output) },
      cursor: null,
    },
  }
}

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
