import { AwsClient } from 'aws4fetch'
import { StepFailure } from '#src/domain/failure.ts'
import type { TenantId } from '#src/domain/id.ts'
import { checkKey } from './key.ts'
import type { StorageKey } from './key.ts'
import { element, elements } from './xml.ts'

export type StoredObject = { bytes: number; etag: string }
/** `bytes` and `body` are of the range that was asked for; `etag` is of the whole object. */
export type StoredBody = StoredObject & { body: ReadableStream<Uint8Array> }
/** `end` is exclusive; without it, the rest. */
export type ByteRange = { start: number; end?: number }
export type StoredPage = { objects: (StoredObject & { key: StorageKey; changedAt: Date })[]; cursor?: string }
export type SignedRequest = { url: string; method: 'GET' | 'PUT'; headers: Record<string, string> }

export type Storage = {
  head(
    key: StorageKey,
    options?: { signal?: AbortSignal },
  ): Promise<(StoredObject & { changedAt?: Date }) | undefined>
  get(key: StorageKey, options?: { range?: ByteRange; signal?: AbortSignal }): Promise<StoredBody | undefined>
  put(
    key: StorageKey,
    body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
    options?: { contentType?: string; signal?: AbortSignal },
  ): Promise<void>
  remove(key: StorageKey): Promise<void>
  list(tenantId: TenantId, prefix: string, cursor?: string, limit?: number): Promise<StoredPage>
  /** What a browser or a client needs to upload by itself; with `bytes`, only a body of exactly that length is accepted. */
  signedUpload(
    key: StorageKey,
    options: { expiresInS: number; contentType?: string; bytes?: number },
  ): Promise<SignedRequest>
  signedDownload(key: StorageKey, options: { expiresInS: number }): Promise<SignedRequest>
}

export type StorageConfig = {
  endpoint: string
  bucket: string
  region: string
  accessKeyId: string
  secretAccessKey: string
}

/** S3 refuses smaller parts than 5 MB, and R2 wants all but the last to be of one size. */
const partBytes = 8 * 1024 * 1024

/** An S3, R2 or MinIO bucket. Nothing is sent before the first call. */
export function connectStorage(config: StorageConfig): Storage {
  const { accessKeyId, secretAccessKey, region } = config
  const client = new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3', retries: 3 })
  const bucketUrl = `${config.endpoint.replace(/\/+$/, '')}/${config.bucket}`
  const urlOf = (key: StorageKey, query: Record<string, string> = {}): URL => {
    const url = new URL(`${bucketUrl}/${checkKey(key).split('/').map(encodeURIComponent).join('/')}`)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return url
  }

  const ask = async (url: URL, init: RequestInit, ...accepted: number[]): Promise<Response> => {
    let response
    try {
      response = await client.fetch(url, init)
    } catch (cause) {
      if (init.signal?.aborted) throw cause
      throw new StepFailure('storage_unavailable', 'The object storage cannot be reached.', {
        retryable: true,
        cause,
      })
    }
    if (response.ok || accepted.includes(response.status)) return response
    await response.body?.cancel()
    const retryable = response.status >= 500 || response.status === 429
    throw new StepFailure(
      retryable ? 'storage_unavailable' : 'storage_refused',
      `The object storage answered ${response.status} to a ${init.method ?? 'GET'}.`,
      { retryable },
    )
  }

  const putStream = async (
    key: StorageKey,
    body: ReadableStream<Uint8Array>,
    init: RequestInit,
  ): Promise<void> => {
    const parts = partsOf(body)
    const first = await parts.next()
    const second = first.done ? first : await parts.next()
    if (first.done || second.done) {
      await ask(urlOf(key), { ...init, body: first.done ? '' : first.value })
      return
    }
    const begun = await ask(urlOf(key, { uploads: '' }), { ...init, method: 'POST' })
    const uploadId = element(await begun.text(), 'UploadId') ?? ''
    const sent: string[] = []
    const send = async (part: Uint8Array<ArrayBuffer>): Promise<void> => {
      const url = urlOf(key, { partNumber: String(sent.length + 1), uploadId })
      const response = await ask(url, { ...init, headers: {}, body: part })
      await response.body?.cancel()
      sent.push(
        `<Part><PartNumber>${sent.length + 1}</PartNumber><ETag>${response.headers.get('etag') ?? ''}</ETag></Part>`,
      )
    }
    try {
      await send(first.value)
      await send(second.value)
      for await (const part of parts) await send(part)
      const xml = `<CompleteMultipartUpload>${sent.join('')}</CompleteMultipartUpload>`
      const done = await ask(urlOf(key, { uploadId }), {
        ...init,
        headers: { 'content-type': 'application/xml' },
        method: 'POST',
        body: xml,
      })
      // S3 may answer 200 and put the failure into the body.
      if (element(await done.text(), 'ETag') === undefined) {
        throw new StepFailure('storage_unavailable', 'The object storage did not finish an upload.', {
          retryable: true,
        })
      }
    } catch (failure) {
      await ask(urlOf(key, { uploadId }), { method: 'DELETE' }, 404, 405, 501).catch(() => undefined)
      throw failure
    }
  }

  return {
    async head(key, options = {}) {
      const response = await ask(urlOf(key), { method: 'HEAD', ...options }, 404)
      if (response.status === 404) return undefined
      const changed = response.headers.get('last-modified')
      return { ...sizeAndTag(response), ...(changed === null ? {} : { changedAt: new Date(changed) }) }
    },

    async get(key, { range, signal } = {}) {
      const headers: Record<string, string> = range
        ? { range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }
        : {}
      const response = await ask(urlOf(key), { headers, ...(signal && { signal }) }, 404)
      if (response.status === 404 || !response.body) {
        await response.body?.cancel()
        return undefined
      }
      return { ...sizeAndTag(response), body: response.body as ReadableStream<Uint8Array> }
    },

    async put(key, body, { contentType, signal } = {}) {
      const init = {
        method: 'PUT',
        headers: { 'content-type': contentType ?? 'application/octet-stream' },
        ...(signal && { signal }),
      }
      if (body instanceof ReadableStream) return putStream(key, body, init)
      const response = await ask(urlOf(key), { ...init, body })
      await response.body?.cancel()
    },

    async remove(key) {
      const response = await ask(urlOf(key), { method: 'DELETE' }, 404)
      await response.body?.cancel()
    },

    async list(tenantId, prefix, cursor, limit) {
      const url = new URL(bucketUrl)
      url.searchParams.set('list-type', '2')
      url.searchParams.set('prefix', `tenants/${tenantId}/${prefix}`)
      if (cursor) url.searchParams.set('continuation-token', cursor)
      if (limit) url.searchParams.set('max-keys', String(limit))
      const xml = await (await ask(url, {})).text()
      const next = element(xml, 'NextContinuationToken')
      const objects = elements(xml, 'Contents').map((item) => ({
        key: checkKey(element(item, 'Key') ?? ''),
        bytes: Number(element(item, 'Size') ?? 0),
        etag: element(item, 'ETag') ?? '',
        changedAt: new Date(element(item, 'LastModified') ?? 0),
      }))
      return next ? { objects, cursor: next } : { objects }
    },

    async signedUpload(key, { expiresInS, contentType, bytes }) {
      const headers: Record<string, string> = {}
      if (contentType !== undefined) headers['content-type'] = contentType
      if (bytes !== undefined) headers['content-length'] = String(bytes)
      const url = urlOf(key, { 'X-Amz-Expires': String(expiresInS) })
      const signed = await client.sign(url, {
        method: 'PUT',
        headers,
        aws: { signQuery: true, allHeaders: true },
      })
      return { url: signed.url, method: 'PUT', headers }
    },

    async signedDownload(key, { expiresInS }) {
      const url = urlOf(key, { 'X-Amz-Expires': String(expiresInS) })
      const signed = await client.sign(url, { method: 'GET', aws: { signQuery: true } })
      return { url: signed.url, method: 'GET', headers: {} }
    },
  }
}

function sizeAndTag(response: Response): StoredObject {
  return {
    bytes: Number(response.headers.get('content-length') ?? 0),
    etag: response.headers.get('etag') ?? '',
  }
}

/** The stream in parts of one size; only one part is in memory at a time. */
async function* partsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let part = new Uint8Array(partBytes)
  let filled = 0
  for await (const chunk of body) {
    for (let from = 0; from < chunk.length;) {
      const taken = chunk.subarray(from, from + partBytes - filled)
      part.set(taken, filled)
      filled += taken.length
      from += taken.length
      if (filled < partBytes) continue
      yield part
      part = new Uint8Array(partBytes)
      filled = 0
    }
  }
  if (filled > 0) yield part.subarray(0, filled)
}
