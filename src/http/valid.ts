import { zValidator } from '@hono/zod-validator'
import type { MiddlewareHandler, ValidationTargets } from 'hono'
import type * as z from 'zod'
import { fieldProblems } from '#src/domain/field-problem.ts'
import { Problem } from '#src/domain/problem.ts'
import { readText } from './body.ts'
import { refuseUnsafeJson } from './json-shape.ts'

type Target = Extract<keyof ValidationTargets, 'json' | 'query' | 'param' | 'header'>

/**
 * Parses one part of the request; the handler gets it with `c.req.valid(target)`. A body that does not fit is a 422
 * that names its fields, a query that does not is a 400, and a malformed id in the path is as absent as a made-up one.
 */
export function valid<T extends Target, S extends z.ZodType>(target: T, schema: S) {
  const check = zValidator(target, schema, (result): undefined => {
    if (!result.success) throw refusal(target, result.error.issues)
  })
  if (target !== 'json') return check
  const checkJson: MiddlewareHandler = async (c, next) => {
    const text = await readText(c.req)
    const mediaType = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (text !== '' || mediaType !== undefined) {
      if (mediaType === undefined || !/^application\/([\w.-]+\+)?json$/.test(mediaType)) {
        throw new Problem('unsupported_media_type', 'Send the body as application/json.')
      }
      refuseUnsafeJson(text)
      refuseMalformed(text)
    }
    return check(c, next)
  }
  // The same middleware to Hono; the type is what tells the typed client the input.
  return checkJson as typeof check
}

function refuseMalformed(text: string): void {
  try {
    JSON.parse(text)
  } catch (error) {
    throw new Problem('malformed', 'The body is not JSON.', { cause: error })
  }
}

function refusal(target: Target, issues: Parameters<typeof fieldProblems>[0]): Problem {
  if (target === 'param') return new Problem('not_found', 'There is no such thing.')
  const fields = fieldProblems(issues)
  return target === 'json'
    ? new Problem('invalid', 'Some fields are not valid.', { fields })
    : new Problem('malformed', 'Some parameters are not valid.', { fields })
}
