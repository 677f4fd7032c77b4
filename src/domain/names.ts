import * as z from 'zod'

/** What a name of a step or dataset looks like: it is an SQL identifier too. */
export const name = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and _, beginning with a letter')

/** Of a connection, a channel or a calendar. */
export const connectionName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter')

export const pipelineName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -, beginning with a letter')

export const timezone = z
  .string()
  .min(1)
  .max(100)
  .refine(isTimeZone, { error: 'must be an IANA time zone such as Europe/Berlin' })

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false
  }
}
