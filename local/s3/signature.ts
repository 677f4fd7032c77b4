import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/**
 * Checks AWS Signature Version 4 in the header or in the address, which s3rver itself does not: a request that the
 * real store would refuse must not pass on a laptop. Returns why it is refused, as S3 words it.
 */
export function refusal(
  request: IncomingMessage,
  keys: { accessKeyId: string; secretAccessKey: string },
  now: Date,
): { code: string; message: string } | undefined {
  const url = new URL(request.url ?? '/', 'http://local')
  const signed = url.searchParams.has('X-Amz-Signature') ? fromQuery(url) : fromHeader(request)
  if (!signed) return { code: 'AccessDenied', message: 'Access Denied' }
  if (signed.accessKeyId !== keys.accessKeyId)
    return {
      code: 'InvalidAccessKeyId',
      message: 'The AWS Access Key Id you provided does not exist in our records.',
    }
  const ageMs = now.getTime() - readTime(signed.time)
  if (Number.isNaN(ageMs) || ageMs < -skewMs)
    return { code: 'RequestTimeTooSkewed', message: 'The request is dated in the future.' }
  if (ageMs > signed.validMs)
    return signed.inQuery
      ? { code: 'AccessDenied', message: 'Request has expired' }
      : {
          code: 'RequestTimeTooSkewed',
          message: 'The difference between the request time and the current time is too large.',
        }

  const canonical = [
    request.method ?? 'GET',
    canonicalPath(url.pathname),
    canonicalQuery(url),
    ...signed.headers.map((name) => `${name}:${headerText(request, name)}`),
    '',
    signed.headers.join(';'),
    signed.inQuery ? 'UNSIGNED-PAYLOAD' : headerText(request, 'x-amz-content-sha256'),
  ].join('\n')
  const text = [
    'AWS4-HMAC-SHA256',
    signed.time,
    signed.scope,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n')
  const key = signed.scope
    .split('/')
    .reduce(
      (secret: string | Buffer, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${keys.secretAccessKey}`,
    )
  const expected = createHmac('sha256', key).update(text).digest()
  const given = Buffer.from(signed.signature, 'hex')
  if (given.length === expected.length && timingSafeEqual(given, expected)) return undefined
  return {
    code: 'SignatureDoesNotMatch',
    message: 'The request signature we calculated does not match the signature you provided.',
  }
}

const skewMs = 15 * 60_000

type Signed = {
  inQuery: boolean
  accessKeyId: string
  scope: string
  time: string
  headers: string[]
  signature: string
  validMs: number
}

function fromQuery(url: URL): Signed {
  const of = (name: string) => url.searchParams.get(`X-Amz-${name}`) ?? ''
  const [accessKeyId = '', ...scope] = of('Credential').split('/')
  return {
    inQuery: true,
    accessKeyId,
    scope: scope.join('/'),
    time: of('Date'),
    headers: of('SignedHeaders').split(';'),
    signature: of('Signature'),
    validMs: Number(of('Expires') || 86_400) * 1000,
  }
}

function fromHeader(request: IncomingMessage): Signed | undefined {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)$/.exec(
      request.headers.authorization ?? '',
    )
  if (!found) return undefined
  const [, accessKeyId = '', scope = '', headers = '', signature = ''] = found
  const time = headerText(request, 'x-amz-date')
  return { inQuery: false, accessKeyId, scope, time, headers: headers.split(';'), signature, validMs: skewMs }
}

const headerText = (request: IncomingMessage, name: string) =>
  String(request.headers[name] ?? '')
    .trim()
    .replace(/ +/g, ' ')

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

const canonicalPath = (path: string) =>
  path
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/')

const canonicalQuery = (url: URL) =>
  [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map((pair) => pair.join('='))
    .join('&')

/** `20261121T062800Z` in milliseconds; NaN for anything else. */
const readTime = (text: string) =>
  Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
