import * as z from 'zod'
import { longerThanNothing } from './duration.ts'
import { isTemplate } from './template.ts'

/** Headers that belong to the connection, or would tell the queue something in our name. */
const notTheirs =
  /^(upstash-.*|host|connection|content-length|transfer-encoding|keep-alive|upgrade|expect|te|trailer)$/i

const header = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'must be the name of a header')
  .refine((text) => !notTheirs.test(text), { error: 'must be a header that a call may set' })

/** Whether this is where a call can go; with names still in it, as far as that can be seen. */
export function isHttpUrl(text: string): boolean {
  if (isTemplate(text)) return /^(https?:\/\/|\$\{)/i.test(text)
  const url = URL.parse(text)
  return (
    (url?.protocol === 'http:' || url?.protocol === 'https:') && url.username === '' && url.password === ''
  )
}

export const callSchema = z
  .strictObject({
    url: z
      .string()
      .max(4_000)
      .refine(isHttpUrl, { error: 'must be an http:// or https:// address without a user name' })
      .optional(),
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('POST'),
    headers: z
      .record(
        header,
        z
          .string()
          .max(8_000)
          .refine((text) => !/[\r\n\0]/.test(text), { error: 'must be one line' }),
      )
      .default({}),
    body: z.json().optional(),
    wait: z.enum(['response', 'callback']).default('response'),
    within: longerThanNothing.default(3_600_000),
  })
  .refine(({ url, wait }) => url !== undefined || wait === 'callback', {
    error: 'is missing: only what waits for a callback may leave it out',
    path: ['url'],
  })
  .refine(({ method, body }) => !['GET', 'HEAD'].includes(method) || body === undefined, {
    error: 'cannot go with method GET or HEAD',
    path: ['body'],
  })
