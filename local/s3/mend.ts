import type { IncomingMessage } from 'node:http'

import type { Store } from 's3rver'

/**
 * `Range: bytes=-8` means the last eight bytes; s3rver would send the first nine. Put in absolute numbers before
 * s3rver sees it.
 */
export async function mendRange(store: Store, bucket: string, request: IncomingMessage): Promise<void> {
  const suffix = /^bytes=-(\d+)$/.exec(request.headers.range ?? '')?.[1]
  const key = decodeURIComponent(new URL(request.url ?? '/', 'http://local').pathname).slice(
    bucket.length + 2,
  )
  if (suffix === undefined || !key) return
  const metadata = await store.getMetadata(bucket, key).catch(() => undefined)
  if (!metadata) return
  const size = Number(metadata['content-length'])
  request.headers.range = `bytes=${Math.max(0, size - Number(suffix))}-${size - 1}`
}

/** ListObjectsV2 page by page: s3rver seals its continuation tokens with a cipher that OpenSSL 3 no longer has. */
export async function listObjects(store: Store, bucket: string, query: URLSearchParams): Promise<string> {
  const prefix = query.get('prefix') ?? ''
  const token = query.get('continuation-token')
  const maxKeys = Math.min(1000, Number(query.get('max-keys') ?? 1000))
  const { objects, commonPrefixes, isTruncated } = await store.listObjects(bucket, {
    prefix,
    startAfter:
      token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString('utf8'),
    delimiter: query.get('delimiter') ?? '',
    maxKeys,
  })
  const name = (key: string) => (query.get('encoding-type') === 'url' ? encodeURIComponent(key) : escape(key))
  const next = isTruncated ? Buffer.from(objects.at(-1)?.key ?? '').toString('base64url') : undefined
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    `<Name>${escape(bucket)}</Name><Prefix>${name(prefix)}</Prefix><MaxKeys>${maxKeys}</MaxKeys>`,
    `<KeyCount>${objects.length + commonPrefixes.length}</KeyCount><IsTruncated>${isTruncated}</IsTruncated>`,
    ...(next === undefined ? [] : [`<NextContinuationToken>${next}</NextContinuationToken>`]),
    ...objects.map(
      ({ key, size, lastModifiedDate, metadata }) =>
        `<Contents><Key>${name(key)}</Key><LastModified>${lastModifiedDate.toISOString()}</LastModified>` +
        `<ETag>${escape(metadata['etag'] ?? '')}</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
    ),
    ...commonPrefixes.map((each) => `<CommonPrefixes><Prefix>${name(each)}</Prefix></CommonPrefixes>`),
    '</ListBucketResult>',
  ].join('')
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}
const escape = (text: string) => text.replace(/[&<>"']/g, (c) => entities[c] ?? c)
