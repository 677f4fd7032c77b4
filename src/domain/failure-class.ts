/**
 * What a failure's code says of trying again, where the code itself does not know better at the moment: 'outage' and
 * 'again' may go well later, everything else never does by itself. Outages say that the other side cannot serve anybody,
 * so they count for the circuit breaker of its connection; app.is_outage in migrations/0006 names the same ones.
 */
export type FailureClass = 'outage' | 'again' | 'never'

type Row = {
  class: Exclude<FailureClass, 'never'>
  /** Not before that, whatever the retry policy says. */
  waitMs?: number
}

/** By the codes that connectors and steps give. */
export const failureClasses: Readonly<Record<string, Row>> = {
  // Nobody answers, or not any more.
  connection_refused: { class: 'outage' },
  connection_lost: { class: 'outage' },
  connect_timeout: { class: 'outage' },
  unreachable: { class: 'outage' },
  // It answers that it cannot now: a server that has just run out or restarts needs some seconds.
  too_many_connections: { class: 'outage', waitMs: 5_000 },
  server_busy: { class: 'outage', waitMs: 5_000 },
  server_unavailable: { class: 'outage', waitMs: 5_000 },
  server_full: { class: 'outage', waitMs: 30_000 },
  storage_unavailable: { class: 'outage' },
  http_unavailable: { class: 'outage' },
  // It serves others: this piece of work met something that passes.
  http_limited: { class: 'again', waitMs: 1_000 },
  unknown_host: { class: 'again' },
  tls_failed: { class: 'again' },
  conflict: { class: 'again' },
  locked: { class: 'again' },
  name_taken: { class: 'again' },
  statement_timeout: { class: 'again' },
  server_error: { class: 'again' },
  load_changed: { class: 'again' },
  unexpected: { class: 'again' },
}

export const classOf = (code: string): FailureClass => failureClasses[code]?.class ?? 'never'

export const outageCodes: readonly string[] = Object.keys(failureClasses).filter(
  (code) => classOf(code) === 'outage',
)
