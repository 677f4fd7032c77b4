import type { MiddlewareHandler } from 'hono'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

export const mostUrlCharacters = 8_192
export const mostParameters = 50
export const mostHeaders = 100
export const mostHeaderCharacters = 32 * 1024

/**
 * Refuses requests of which two readers may think differently (a length said twice, a parameter named twice), and
 * those whose head alone is work. The platforms refuse most of it before us, each in its own way; this is the one way
 * that is the same everywhere.
 */
export function refuseOddRequests(): MiddlewareHandler<ApiEnv> {
  return async function refuseOddRequests(c, next) {
    refuseOddUrl(c.req.raw.url)
    refuseOddHeaders(c.req.raw.headers)
    return next()
  }
}

function refuseOddUrl(url: string): void {
  if (url.length > mostUrlCharacters)
    throw new Problem('malformed', `An address may have at most ${mostUrlCharacters} characters.`)
  const at = url.indexOf('?')
  if (at < 0) return
  const names = new Set<string>()
  for (const [name, value] of new URLSearchParams(url.slice(at))) {
    if (value.includes('\0'))
      throw new Problem('malformed', `The parameter "${name.slice(0, 100)}" holds the character NUL.`)
    if (names.has(name))
      throw new Problem('malformed', `The parameter "${name.slice(0, 100)}" is there twice.`)
    names.add(name)
    if (names.size > mostParameters)
      throw new Problem('malformed', `An address may have at most ${mostParameters} parameters.`)
  }
}

function refuseOddHeaders(headers: Headers): void {
  let count = 0
  let characters = 0
  headers.forEach((value, name) => {
    count++
    characters += name.length + value.length
  })
  if (count > mostHeaders || characters > mostHeaderCharacters)
    throw new Problem(
      'malformed',
      `A request may have ${mostHeaders} headers of ${mostHeaderCharacters / 1024} KB together.`,
    )
  const length = headers.get('content-length')
  // Two lengths arrive here joined by a comma.
  if (length !== null && (!/^\d{1,15}$/.test(length) || headers.has('transfer-encoding')))
    throw new Problem('malformed', 'The request says in two ways, or in no readable one, how long it is.')
}
