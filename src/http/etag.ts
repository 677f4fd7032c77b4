import type { Context } from 'hono'
import { sha256 } from '#src/domain/digest.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

/** The strong tag of one version of one resource. */
export const etagOf = (version: number): string => `"v${version}"`

/** The strong tag of an answer that has no version number of its own. */
export const etagOfBody = async (body: object): Promise<string> =>
  `"h${(await sha256(JSON.stringify(body))).slice(0, 32)}"`

const tags = /\s*(W\/)?"([^"]*)"\s*(?:,|$)/gy

function parseTags(header: string): { weak: boolean; tag: string }[] {
  const found = [...header.matchAll(tags)]
  return found.map(([, weak, tag]) => ({ weak: weak !== undefined, tag: `"${tag ?? ''}"` }))
}

/** Whether the caller already holds this version; weak comparison, as If-None-Match wants it. */
export function isFresh(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || parseTags(header).some(({ tag }) => tag === etag)
}

/**
 * The versions that the caller is ready to replace, for the statement's own `where`; 'any' for `*`. Without the header
 * it is a 428, because two people may edit the same thing. A tag that can never be ours leaves nothing to match: 412.
 */
export function expectedVersions(c: Context<ApiEnv>): readonly number[] | 'any' {
  const header = c.req.header('if-match')
  if (header === undefined) {
    throw new Problem('precondition_required', 'Say with If-Match which version you are changing.')
  }
  if (header.trim() === '*') return 'any'
  const versions = parseTags(header).flatMap(({ weak, tag }) => {
    const [, digits] = /^"v(\d{1,9})"$/.exec(tag) ?? []
    return weak || digits === undefined ? [] : [Number(digits)]
  })
  if (versions.length === 0) throw stale()
  return versions
}

/** As expectedVersions, where the caller need not say it: 'any' without the header. */
export const expectedIfSaid = (c: Context<ApiEnv>): readonly number[] | 'any' =>
  c.req.header('if-match') === undefined ? 'any' : expectedVersions(c)

export const stale = (): Problem =>
  new Problem('precondition_failed', 'It has changed since you read it; read it again.')
