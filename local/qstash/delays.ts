import { parseDelayExpression } from './expression.ts'

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const dayMs = unitMs.d

/** Reads `1d10h30m` or a bare number of seconds; undefined when it is neither. */
export function readDuration(text: string): number | undefined {
  const trimmed = text.trim()
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1_000
  if (!/^(\d+(\.\d+)?[smhd])+$/.test(trimmed)) return undefined
  let total = 0
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)([smhd])/g))
    total += Number(amount) * unitMs[unit as keyof typeof unitMs]
  return total
}

/** How long to wait before retry `retried + 1`: QStash's own backoff, or the message's expression. */
export function backoffMs(retried: number, expression: string | undefined): number {
  if (expression === undefined) return Math.min(dayMs, Math.floor(Math.exp(2.5 * (retried + 1))) * 1_000)
  const value = parseDelayExpression(expression)(retried)
  return Number.isFinite(value) ? Math.max(0, Math.floor(value)) : dayMs
}

const waitHeaders = [
  'retry-after',
  'x-ratelimit-reset',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
] as const

/** How long a failing destination asked to be left alone, at most a day. */
export function askedToWaitMs(headers: NodeJS.Dict<string | string[]>, now: number): number | undefined {
  for (const name of waitHeaders) {
    const value = headers[name]
    if (typeof value !== 'string') continue
    const waitMs = readDuration(value) ?? untilDate(value, now)
    if (waitMs !== undefined) return Math.min(dayMs, Math.max(0, waitMs))
  }
  return undefined
}

function untilDate(text: string, now: number): number | undefined {
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at - now
}
