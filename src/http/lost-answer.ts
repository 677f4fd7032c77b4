import type { Hono } from 'hono'
import type { ClaimOutcome, StoredReply } from '#src/db/idempotency.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

type Made = NonNullable<Extract<ClaimOutcome, { kind: 'unanswered' }>['made']>

/** The bodies of the routes that answer with a run that they have made. */
const bodies: readonly [path: RegExp, body: (made: Made) => Record<string, unknown>][] = [
  [/^\/v1\/runs$/, ({ id, state, pipelineId }) => ({ id, state, pipelineId })],
  [/^\/v1\/runs\/[^/]+\/rerun$/, ({ id, state, rerunOf }) => ({ id, state, rerunOf })],
  [/^\/v1\/dead-letters\/[^/]+\/replay$/, ({ id, state }) => ({ id, state })],
]

/** The answer that a request would have had, where what it made is enough to tell. */
export function answerOf(path: string, made: Made | null): StoredReply | undefined {
  const body = made && bodies.find(([pattern]) => pattern.test(path))?.[1](made)
  if (!body) return undefined
  const headers = { 'content-type': 'application/json', location: `/v1/runs/${made.id}` }
  return { status: 202, headers, body: JSON.stringify(body) }
}

/** For who repeats a request that took effect and was not answered: where to see what it did. */
export function lostAnswer(app: Hono<ApiEnv>, path: string): Problem {
  const place = readableFrom(app, path)
  const look = place === undefined ? '' : `GET ${place}, or in `
  return new Problem(
    'conflict',
    `The first request with this Idempotency-Key took effect, but its answer was lost, so it is not carried out again. Look in ${look}the audit log for what it did; use another key only to do it once more.`,
  )
}

/** The nearest path at or above this one that can be read. */
function readableFrom(app: Hono<ApiEnv>, path: string): string | undefined {
  for (let at = path; at.split('/').length > 2; at = at.slice(0, at.lastIndexOf('/')))
    if (app.router.match('GET', at)[0].some(([[, route]]) => route.method === 'GET')) return at
  return undefined
}
