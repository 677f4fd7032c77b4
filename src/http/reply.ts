import type { Context } from 'hono'
import * as z from 'zod'
import type { JSONValue } from 'hono/utils/types'
import {
  decodeCursor,
  defaultLimit,
  encodeCursor,
  maxLimit,
  type Page,
  type PageRequest,
} from '#src/domain/page.ts'
import type { ApiEnv } from './api.ts'
import { isFresh } from './etag.ts'

/** 201 with where the new thing is. */
export function created<T extends JSONValue | object>(c: Context<ApiEnv>, location: string, body: T) {
  return c.json(body, 201, { Location: location })
}

/** One resource with its strong tag; 304 when the caller has this version. */
export function single<T extends JSONValue | object>(c: Context<ApiEnv>, body: T, etag: string) {
  c.header('ETag', etag)
  // A 304 has no body, so the typed client need not know of it.
  if (isFresh(c.req.header('if-none-match'), etag)) return c.body(null, 304) as unknown as never
  return c.json(body, 200)
}

const paging = {
  limit: z.coerce.number().int().min(1).max(maxLimit).default(defaultLimit),
  cursor: z.string().max(2000).optional(),
}

/** The query of a list: `limit`, `cursor` and its own filters. Any other parameter is refused, never ignored. */
export const listQuery = <F extends z.ZodRawShape>(filters: F) => z.strictObject({ ...paging, ...filters })

/** Where the asked-for page starts. The cursor must be one that this list gave under the same filters. */
export async function pageRequest(
  c: Context<ApiEnv>,
  query: { limit: number; cursor?: string | undefined },
): Promise<PageRequest> {
  if (query.cursor === undefined) return { limit: query.limit }
  const key = await c.get('gate').cursorKey()
  return { limit: query.limit, after: await decodeCursor(key, binding(c), query.cursor) }
}

/** `{items, nextCursor}`, and the same as a Link. */
export async function page<T, J extends JSONValue | object>(
  c: Context<ApiEnv>,
  found: Page<T>,
  toJson: (item: T) => J,
) {
  const items = found.items.map(toJson)
  if (found.next === undefined) return c.json({ items, ...none }, 200)
  const nextCursor = await encodeCursor(await c.get('gate').cursorKey(), binding(c), found.next)
  const next = new URL(c.req.url)
  next.searchParams.set('cursor', nextCursor)
  return c.json({ items, nextCursor }, 200, { Link: `<${next.pathname}${next.search}>; rel="next"` })
}

/** Keeps `nextCursor` in the type of an answer that has none. */
const none: { nextCursor?: string } = {}

/** What a cursor is good for: this tenant, this list, these filters. */
function binding(c: Context<ApiEnv>): string {
  const filters = new URL(c.req.url).searchParams
  filters.delete('cursor')
  filters.delete('limit')
  filters.sort()
  return `${c.get('ctx').tenantId}\n${c.req.path}\n${filters.toString()}`
}
