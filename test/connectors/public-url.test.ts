import { describe, expect, it } from 'vitest'
import { publicUrl } from '#src/connectors/public-url.ts'
import { failureOfStatus, retryAfter } from '#src/domain/http-failure.ts'
import { StepFailure } from '#src/domain/failure.ts'

const ownUrl = 'https://weir.example.com'
const names: Record<string, string[]> = {
  'good.example.com': ['93.184.216.34', '2606:2800:220:1::1'],
  'inside.example.com': ['10.0.0.7'],
  'half.example.com': ['93.184.216.34', '169.254.169.254'],
  'mapped.example.com': ['::ffff:127.0.0.1'],
}
const judge = (url: string, allowPrivate = false) =>
  publicUrl(url, { ownUrl, allowPrivate, lookup: async (host) => names[host] ?? [] }).then(
    ({ href }) => href,
    (error: unknown) => (error instanceof StepFailure ? error.code : String(error)),
  )

describe('a URL that a tenant wants to be asked', () => {
  it.each([
    ['https://good.example.com/a?b=c', 'https://good.example.com/a?b=c'],
    ['https://GOOD.example.com:8443/', 'https://good.example.com:8443/'],
    ['https://inside.example.com/', 'private_address'],
    ['https://half.example.com/', 'private_address'],
    ['https://mapped.example.com/', 'private_address'],
    ['https://nobody.example.com/', 'unknown_host'],
    ['http://good.example.com/', 'bad_url'],
    ['https://a:b@good.example.com/', 'bad_url'],
    ['javascript:alert(1)', 'bad_url'],
    ['/v1/runs', 'bad_url'],
    ['https://localhost/', 'private_address'],
    ['https://2130706433/', 'private_address'],
    ['https://[::ffff:169.254.169.254]/', 'private_address'],
    ['https://metadata/', 'private_address'],
    ['https://weir.example.com/jobs/run', 'own_host'],
    ['https://WEIR.example.com:443/jobs/run', 'own_host'],
    ['https://weir.example.com./jobs/run', 'own_host'],
    ['https://weir.example%2Ecom/jobs/run', 'own_host'],
  ])('%s: %s', async (url, wanted) => {
    expect(await judge(url)).toBe(wanted)
  })

  it('may be a private one on a laptop, and still not our own', async () => {
    expect(await judge('http://127.0.0.1:9000/x', true)).toBe('http://127.0.0.1:9000/x')
    expect(await judge('https://weir.example.com/', true)).toBe('own_host')
  })
})

describe('an answer that is no success', () => {
  const now = new Date('2026-01-01T00:00:00Z')

  it.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['999999999', 86_400_000],
    ['soon', undefined],
    [undefined, undefined],
  ])('asks with Retry-After %s to wait %s ms', (value, ms) => {
    expect(retryAfter(value, now)).toBe(ms)
  })

  it('is told with what it said, and when to try again', () => {
    const failure = failureOfStatus(503, { 'retry-after': '7' }, 'x.example', now, ' try later ')
    expect(failure).toMatchObject({ code: 'http_unavailable', retryable: true, retryAfterMs: 7_000 })
    expect(failure.message).toBe('x.example answered 503. It said: try later')
    expect(failureOfStatus(501, {}, 'x', now).retryAfterMs).toBeUndefined()
  })
})
