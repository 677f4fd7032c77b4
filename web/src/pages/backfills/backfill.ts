import type { InferResponseType } from 'hono/client'
import type { Client } from '../../api.ts'

export type Backfill = InferResponseType<Client['v1']['backfills'][':id']['$get'], 200>

export const isOver = ({ state }: Backfill): boolean => state === 'finished' || state === 'cancelled'

export type Progress = { total: number; done: number; failed: number; left: number }

/** How far it is: what failed or was cancelled is done as well, but not well. */
export function progressOf({ runs }: Pick<Backfill, 'runs'>): Progress {
  const { total, succeeded, skipped, failed, cancelled, waiting, running } = runs
  return { total, done: succeeded + skipped + failed + cancelled, failed, left: waiting + running }
}

/** 2026-01-01 to 2026-01-31 */
export const rangeWords = ({ from, to }: Pick<Backfill, 'from' | 'to'>): string =>
  from === to ? from : `${from} to ${to}`

const partitions: Readonly<Record<string, string>> = {
  '0 * * * *': 'each hour',
  '0 0 * * *': 'each day',
  '0 0 1 * *': 'each month',
}

/** What its runs stand for: each day (UTC), or by the cron 15 6 * * 1-5 (Europe/Berlin). */
export const timesWords = ({ cron, timezone }: Pick<Backfill, 'cron' | 'timezone'>): string =>
  `${partitions[cron] ?? `each time of ${cron}`} (${timezone})`
