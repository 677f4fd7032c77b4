import { describe, expect, it } from 'vitest'
import { explain } from '#src/connectors/postgres/failure.ts'
import { classOf, failureClasses, outageCodes } from '#src/domain/failure-class.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { failureOfStatus, retryAfter } from '#src/domain/http-failure.ts'

const house = {
  name: 'house',
  config: { host: 'db.example.com', port: 5432, database: 'd', user: 'u', ssl: 'require' as const },
  secret: { password: 'p' },
}
const ofPostgres = (code: string, message = '') => explain(house, Object.assign(new Error(message), { code }))
const now = new Date('2026-03-01T12:00:00Z')

describe('what PostgreSQL or its socket says', () => {
  it.each([
    // code, ours, class, tried again, not before
    ['ECONNREFUSED', 'connection_refused', 'outage', true, undefined],
    ['EHOSTUNREACH', 'unreachable', 'outage', true, undefined],
    ['ENETUNREACH', 'unreachable', 'outage', true, undefined],
    ['ETIMEDOUT', 'connect_timeout', 'outage', true, undefined],
    ['ECONNRESET', 'connection_lost', 'outage', true, undefined],
    ['08006', 'connection_lost', 'outage', true, undefined],
    ['53300', 'too_many_connections', 'outage', true, 5_000],
    ['53200', 'server_busy', 'outage', true, 5_000],
    ['53100', 'server_full', 'outage', true, 30_000],
    ['57P03', 'server_unavailable', 'outage', true, 5_000],
    ['57P01', 'server_unavailable', 'outage', true, 5_000],
    ['EAI_AGAIN', 'unknown_host', 'again', true, undefined],
    ['ENOTFOUND', 'unknown_host', 'again', false, undefined],
    ['40001', 'conflict', 'again', true, undefined],
    ['40P01', 'conflict', 'again', true, undefined],
    ['55P03', 'locked', 'again', true, undefined],
    ['42P07', 'name_taken', 'again', true, undefined],
    ['57014', 'statement_timeout', 'again', true, undefined],
    ['58030', 'server_error', 'again', true, undefined],
    ['XX000', 'server_error', 'again', true, undefined],
    ['28P01', 'wrong_password', 'never', false, undefined],
    ['28000', 'access_denied', 'never', false, undefined],
    ['3D000', 'unknown_database', 'never', false, undefined],
    ['3F000', 'unknown_schema', 'never', false, undefined],
    ['42501', 'permission_denied', 'never', false, undefined],
    ['42P01', 'unknown_table', 'never', false, undefined],
    ['42703', 'schema_mismatch', 'never', false, undefined],
    ['0A000', 'unsupported', 'never', false, undefined],
    ['21000', 'duplicate_key', 'never', false, undefined],
    ['22003', 'bad_value', 'never', false, undefined],
    ['23502', 'null_value', 'never', false, undefined],
    ['23503', 'constraint_violated', 'never', false, undefined],
    ['23505', 'duplicate_key', 'never', false, undefined],
    ['23514', 'constraint_violated', 'never', false, undefined],
    ['CERT_HAS_EXPIRED', 'tls_untrusted', 'never', false, undefined],
  ])('%s is %s: %s, tried again %s, after %s', (code, ours, kind, retryable, retryAfterMs) => {
    const failure = ofPostgres(code)
    expect([failure.code, classOf(failure.code), failure.retryable, failure.retryAfterMs]).toEqual([
      ours,
      kind,
      retryable,
      retryAfterMs,
    ])
  })
})

describe('what a status says', () => {
  it.each([
    [500, {}, 'http_unavailable', 'outage', true, undefined],
    [502, {}, 'http_unavailable', 'outage', true, undefined],
    [503, { 'retry-after': '7' }, 'http_unavailable', 'outage', true, 7_000],
    [503, { 'retry-after': 'Sun, 01 Mar 2026 12:00:30 GMT' }, 'http_unavailable', 'outage', true, 30_000],
    [408, {}, 'http_unavailable', 'outage', true, undefined],
    [429, {}, 'http_limited', 'again', true, 1_000],
    [429, { 'retry-after': '120' }, 'http_limited', 'again', true, 120_000],
    [301, {}, 'http_redirected', 'never', false, undefined],
    [400, {}, 'http_refused', 'never', false, undefined],
    [401, {}, 'http_refused', 'never', false, undefined],
    [404, {}, 'http_refused', 'never', false, undefined],
  ])('%d %j is %s: %s, tried again %s, after %s', (status, headers, code, kind, retryable, retryAfterMs) => {
    const failure = failureOfStatus(status, headers, 'It', now)
    expect([failure.code, classOf(failure.code), failure.retryable, failure.retryAfterMs]).toEqual([
      code,
      kind,
      retryable,
      retryAfterMs,
    ])
  })

  it('may ask for a day at most, and for nothing in the past or that is no time', () => {
    expect(retryAfter('999999999', now)).toBe(86_400_000)
    expect(retryAfter('Sun, 01 Mar 2020 12:00:00 GMT', now)).toBe(0)
    expect(retryAfter('soon', now)).toBeUndefined()
  })
})

describe('every row of the table', () => {
  it.each(Object.entries(failureClasses))('%s makes a failure that is tried again', (code, row) => {
    const failure = new StepFailure(code, 'words')
    expect([failure.retryable, failure.retryAfterMs]).toEqual([true, row.waitMs])
    expect(outageCodes.includes(code)).toBe(row.class === 'outage')
  })

  it('leaves what it does not know as it is: not to be tried again', () => {
    expect(new StepFailure('bad_csv', 'words')).toMatchObject({ retryable: false, retryAfterMs: undefined })
  })
})
