/**
 * Dollars, by the vendors' price lists of 2026: upstash.com/pricing/qstash (pay as you go, $1 per 100,000 messages),
 * upstash.com/pricing/redis ($0.20 per 100,000 commands, each command of a pipeline counts), neon.com/pricing ($0.106
 * per CU-hour of compute, one CU being one core, and $0.35 per GB-month), developers.cloudflare.com/workers/platform/pricing
 * ($0.02 per million milliseconds of CPU).
 */
export const price = {
  message: 1 / 100_000,
  command: 0.2 / 100_000,
  databaseMs: 0.106 / 3_600_000,
  workerMs: 0.02 / 1_000_000,
  storedByteDay: 0.35 / 1e9 / 30,
} as const

/** What is metered, as it can be added up. */
export const meters = ['requests', 'runs', 'refusedRuns', 'rows', 'computeMs', 'storageByteDays'] as const
export type Meter = (typeof meters)[number]

/**
 * What one unit of each meter costs Weir's operator, as the benchmarks measure it: a request is one Redis command, half a
 * millisecond of the Worker and one of the database; a run is one message and its bookkeeping. Computing keeps the
 * database and, waiting for it, a tenth of that the Worker's CPU busy; rows cost what is computed for them.
 */
const unit: Record<Meter, number> = {
  requests: price.command + 0.5 * price.workerMs + price.databaseMs,
  runs: price.message + 3 * price.databaseMs,
  refusedRuns: price.databaseMs,
  rows: 0,
  computeMs: price.databaseMs + 0.1 * price.workerMs,
  storageByteDays: price.storedByteDay,
}

export type Amounts = Partial<Record<Meter, number>>

/** Dollars, to a millionth, as a decimal. */
export const costOf = (amounts: Amounts): string =>
  meters.reduce((sum, meter) => sum + (amounts[meter] ?? 0) * unit[meter], 0).toFixed(6)
