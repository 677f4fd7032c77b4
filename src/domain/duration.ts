import * as z from 'zod'

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const shape = /^(\d+(?:ms|[smhd]))+$/
const longestMs = 366 * unitMs.d

/** '10s', '2h', '1d12h' in milliseconds; undefined when it is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!shape.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhd])/g)) {
    sum += Number(amount) * unitMs[unit as keyof typeof unitMs]
  }
  return sum <= longestMs ? sum : undefined
}

/** A duration as it is written in a definition; its value is in milliseconds. */
export const duration = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, {
    error: 'must be a duration of at most a year such as 30s, 15m, 2h or 1d12h',
  })
  .transform((text) => parseDuration(text) ?? 0)

export const longerThanNothing = duration.refine((ms) => ms > 0, { error: 'must be longer than nothing' })
