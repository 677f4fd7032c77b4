import type { Context, ErrorHandler, Hono, NotFoundHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { databaseProblem, isHidden } from '#src/db/problem.ts'
import { Problem, problemStatus, type ProblemCode } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'
import { noteRefusal } from './refusal.ts'
import { describeError } from './request-log.ts'
import { isScim, scimError } from './scim.ts'

/** The title of each kind of problem; `/problems/<code>` answers with it, so that a problem's type can be followed. */
export const problemTitles = {
  malformed: 'The request cannot be read',
  unauthenticated: 'Not signed in',
  quota_exceeded: 'The plan does not allow more',
  forbidden: 'Not allowed',
  not_found: 'Not found',
  method_not_allowed: 'This path has no such method',
  not_acceptable: 'No acceptable form of the answer',
  conflict: 'In conflict with what is there',
  gone: 'Gone for good',
  precondition_failed: 'It has changed since',
  too_large: 'Too large',
  unsupported_media_type: 'Not in a form that is understood here',
  invalid: 'Some fields are not valid',
  locked: 'Locked',
  precondition_required: 'It must be said which version is meant',
  limited: 'Too many requests',
  internal: 'Something went wrong',
  unavailable: 'Not available now',
  timeout: 'It took too long',
} as const satisfies Record<ProblemCode, string>

const limitedType = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

/** Every failure's one shape, RFC 9457. */
function problemResponse(
  c: Context<ApiEnv>,
  problem: Problem,
  headers: Record<string, string> = {},
): Response {
  const { code } = problem
  const status = problemStatus[code]
  const body = {
    type: code === 'limited' ? limitedType : `${c.get('gate').services.env.PUBLIC_URL}/problems/${code}`,
    title: problemTitles[code],
    status,
    detail: problem.message,
    instance: new URL(c.req.url).pathname,
    code,
    requestId: c.get('requestId'),
    ...(problem.fields ? { fields: problem.fields } : {}),
    ...(problem.quota ? { quota: problem.quota } : {}),
    ...(code === 'limited' ? { 'violated-policies': violatedPolicies(c) } : {}),
  }
  const all: Record<string, string> = { 'Content-Type': 'application/problem+json', ...headers }
  if (problem.retryAfterMs !== undefined) all['Retry-After'] = String(Math.ceil(problem.retryAfterMs / 1000))
  if (code === 'unauthenticated') all['WWW-Authenticate'] = challenge(c)
  if (isScim(c.req.path)) {
    const error = scimError(problem, c.get('requestId'))
    return new Response(error.body, {
      status: error.status,
      headers: { ...all, 'Content-Type': 'application/scim+json' },
    })
  }
  return new Response(JSON.stringify(body), { status, headers: all })
}

const violatedPolicies = (c: Context<ApiEnv>) => {
  const standing = c.get('standing')
  return standing ? [standing.policy.name] : []
}

/** RFC 6750: the error is named only to those who showed a credential. */
const challenge = (c: Context<ApiEnv>) =>
  c.req.raw.headers.has('authorization') || c.req.raw.headers.has('cookie')
    ? 'Bearer realm="weir", error="invalid_token"'
    : 'Bearer realm="weir"'

export const onError: ErrorHandler<ApiEnv> = async (error, c) => {
  const problem = toProblem(error)
  const log = c.get('log')
  log.reason ??= problem.code
  await noteRefusal(c, problem, isHidden(error))
  if (problem.code === 'internal' || problem.code === 'unavailable' || problem.code === 'timeout') {
    const { services } = c.get('gate')
    services.log({
      event: 'failure',
      requestId: c.get('requestId'),
      ...describeError(problem.cause ?? error),
    })
  }
  return problemResponse(c, problem)
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof HTTPException) {
    const code = codeOfStatus.get(error.status)
    if (code && error.status < 500) return new Problem(code, problemTitles[code] + '.', { cause: error })
  }
  if (error instanceof Error && cacheErrors.has(error.name)) {
    return new Problem('unavailable', 'A service that Weir needs does not answer; try again soon.', {
      retryAfterMs: 5_000,
      cause: error,
    })
  }
  return (
    databaseProblem(error) ??
    new Problem('internal', 'Something went wrong; the request id helps us to find out what.', {
      cause: error,
    })
  )
}

/** What the Redis client throws, by name; its messages hold the whole command. */
const cacheErrors = new Set(['UpstashError', 'UpstashJSONParseError', 'TimeoutError'])

const codeOfStatus = new Map<number, ProblemCode>(
  (Object.keys(problemStatus) as ProblemCode[]).map((code) => [problemStatus[code], code]),
)

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** A path that exists under another method is a 405 that says which; anything else is not there. */
export const onNotFound = (app: Hono<ApiEnv>): NotFoundHandler<ApiEnv> =>
  function onNotFound(c) {
    const allowed: string[] = methods.filter((method) =>
      app.router.match(method, c.req.path)[0].some(([[, route]]) => route.method === method),
    )
    const log = c.get('log')
    if (allowed.length === 0) {
      log.reason = 'no_such_route'
      return problemResponse(c, new Problem('not_found', 'There is nothing at this path.'))
    }
    if (allowed.includes('GET')) allowed.push('HEAD')
    log.reason = 'method_not_allowed'
    const problem = new Problem('method_not_allowed', `This path knows ${allowed.join(', ')}.`)
    return problemResponse(c, problem, { Allow: allowed.join(', ') })
  }
