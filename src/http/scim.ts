import type { Context } from 'hono'
import * as z from 'zod'
import { Problem, problemStatus, type ProblemCode } from '#src/domain/problem.ts'
import { scimSchemas, ScimProblem, type ScimPage } from '#src/domain/scim.ts'
import type { ApiEnv } from './api.ts'
import { readText, refuseLargeBody } from './body.ts'
import { refuseUnsafeJson } from './json-shape.ts'

const mediaType = 'application/scim+json'
export const mostItems = 200
const defaultItems = 100

export const isScim = (path: string): boolean => path.startsWith('/scim/')

export const scimBase = (c: Context<ApiEnv>): string => new URL('/scim/v2', c.get('gate').origin).href

/** Every answer of SCIM is in its own media type. */
export function scimReply(
  c: Context<ApiEnv>,
  body: object,
  status: 200 | 201 = 200,
  headers: Record<string, string> = {},
): Response {
  return c.body(JSON.stringify(body), status, { 'Content-Type': mediaType, ...headers })
}

/** One resource: its version as ETag, 304 for who has it. */
export function scimResource(
  c: Context<ApiEnv>,
  resource: Record<string, unknown>,
  status: 200 | 201 = 200,
): Response {
  const { version, location } = resource['meta'] as { version: string; location: string }
  const headers = { ETag: version, Location: location }
  if (status === 200 && c.req.method === 'GET' && tagsOf(c.req.header('if-none-match')).includes(version))
    return c.body(null, 304, headers)
  return scimReply(c, chosen(c, resource), status, headers)
}

const query = z.object({
  filter: z.string().optional(),
  startIndex: z.coerce.number().int().catch(1).default(1),
  count: z.coerce.number().int().catch(defaultItems).default(defaultItems),
})

/** RFC 7644, 3.4.2: an index below 1 is 1, a negative count is 0, and too large a count is the largest. */
export function listAsked(c: Context<ApiEnv>): { filter: string | undefined; page: ScimPage } {
  const { filter, startIndex, count } = query.parse(c.req.query())
  const page = {
    startIndex: Math.min(Math.max(startIndex, 1), 1_000_000_000),
    count: Math.min(Math.max(count, 0), mostItems),
  }
  return { filter, page }
}

export function scimList(
  c: Context<ApiEnv>,
  { startIndex }: ScimPage,
  total: number,
  resources: readonly Record<string, unknown>[],
): Response {
  return scimReply(c, {
    schemas: [scimSchemas.list],
    totalResults: total,
    startIndex,
    itemsPerPage: resources.length,
    Resources: resources.map((one) => chosen(c, one)),
  })
}

const namesIn = (text: string | undefined): Set<string> =>
  new Set(
    (text ?? '')
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== ''),
  )

/** Whether the caller wants the attribute at all. */
export function wants(c: Context<ApiEnv>, attribute: string): boolean {
  const only = namesIn(c.req.query('attributes'))
  const name = attribute.toLowerCase()
  if (only.size > 0) return [...only].some((one) => one === name || one.startsWith(`${name}.`))
  return !namesIn(c.req.query('excludedAttributes')).has(name)
}

const always = new Set(['schemas', 'id', 'meta'])
const chosen = (c: Context<ApiEnv>, resource: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(resource).filter(([name]) => always.has(name) || wants(c, name)))

/** The body as an object; SCIM has no other. */
export async function scimBody(c: Context<ApiEnv>): Promise<Record<string, unknown>> {
  refuseLargeBody(c.req.raw)
  const given = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (given !== mediaType && given !== 'application/json')
    throw new Problem('unsupported_media_type', `Send the body as ${mediaType}.`)
  const text = await readText(c.req)
  refuseUnsafeJson(text)
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (cause) {
    throw new ScimProblem('malformed', 'invalidSyntax', 'The body is not JSON.', { cause })
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new ScimProblem('malformed', 'invalidSyntax', 'The body is a JSON object.')
  return { ...body }
}

const tagsOf = (header: string | undefined): string[] =>
  [...(header ?? '').matchAll(/(?:W\/)?"([^"]*)"/g)].map(([, tag = '']) => `W/"${tag}"`)

/** The versions that If-Match names; SCIM's tags are weak, and meant here all the same (RFC 7644, 3.14). */
export function versionsMeant(c: Context<ApiEnv>): readonly number[] | 'any' {
  const header = c.req.header('if-match')
  if (header === undefined || header.trim() === '*') return 'any'
  return tagsOf(header).flatMap((tag) => {
    const [, digits] = /^W\/"v(\d{1,9})"$/.exec(tag) ?? []
    return digits === undefined ? [] : [Number(digits)]
  })
}

const keywords: Partial<Record<ProblemCode, string>> = {
  malformed: 'invalidSyntax',
  invalid: 'invalidValue',
  conflict: 'uniqueness',
}

/** RFC 7644, 3.12: the same problem in SCIM's words. */
export function scimError(problem: Problem, requestId: string): { status: number; body: string } {
  // SCIM knows no 422.
  const status = problem.code === 'invalid' ? 400 : problemStatus[problem.code]
  const scimType = problem instanceof ScimProblem ? problem.scimType : keywords[problem.code]
  const body = {
    schemas: [scimSchemas.error],
    status: String(status),
    ...(scimType === undefined ? {} : { scimType }),
    detail: problem.message,
    requestId,
  }
  return { status, body: JSON.stringify(body) }
}
