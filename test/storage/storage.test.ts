import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startS3 } from '#local/s3.ts'
import type { S3 } from '#local/s3.ts'
import { newId } from '#src/domain/id.ts'
import { tenantKey } from '#src/storage/key.ts'
import type { StorageKey } from '#src/storage/key.ts'
import { connectStorage } from '#src/storage/storage.ts'
import type { Storage } from '#src/storage/storage.ts'

describe('the object storage', () => {
  const tenantId = newId('tenant')
  const at = (...parts: string[]): StorageKey => tenantKey(tenantId, 'files', ...parts)
  let dir: string
  let s3: S3
  let storage: Storage
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'weir-storage-'))
    s3 = await startS3({ dir, bucket: 'weir-test' })
    storage = connectStorage(s3)
  })
  afterAll(async () => {
    await s3.stop()
    await rm(dir, { recursive: true })
  })

  it('gives back what was put, whole and in part, with one tag for both', async () => {
    await storage.put(at('plain.txt'), 'hello, object storage', { contentType: 'text/plain' })
    const head = await storage.head(at('plain.txt'))
    expect(head?.bytes).toBe(21)
    const whole = await storage.get(at('plain.txt'))
    expect(await new Response(whole?.body).text()).toBe('hello, object storage')
    const part = await storage.get(at('plain.txt'), { range: { start: 7, end: 13 } })
    expect([part?.bytes, await new Response(part?.body).text()]).toEqual([6, 'object'])
    const rest = await storage.get(at('plain.txt'), { range: { start: 14 } })
    expect(await new Response(rest?.body).text()).toBe('storage')
    expect(head?.etag).not.toBe('')
    expect([whole?.etag, part?.etag, rest?.etag]).toEqual([head?.etag, head?.etag, head?.etag])
  })

  it('changes the tag with the content', async () => {
    await storage.put(at('changing'), 'one')
    const before = await storage.head(at('changing'))
    await storage.put(at('changing'), 'two')
    expect((await storage.head(at('changing')))?.etag).not.toBe(before?.etag)
  })

  it('knows nothing of what is not there, and removes twice without complaint', async () => {
    expect(await storage.head(at('nothing'))).toBeUndefined()
    expect(await storage.get(at('nothing'))).toBeUndefined()
    await storage.put(at('short-lived'), 'x')
    await storage.remove(at('short-lived'))
    await storage.remove(at('short-lived'))
    expect(await storage.head(at('short-lived'))).toBeUndefined()
  })

  it.each(['with space', 'ümläut.csv', 'a+b&c=d', "it's (1)*!.csv", '100%25', 'ključ/😀', '#?;:@'])(
    'keeps the name %j',
    async (name) => {
      await storage.put(at('names', name), name)
      expect(await new Response((await storage.get(at('names', name)))?.body).text()).toBe(name)
      const { objects } = await storage.list(tenantId, 'files/names/')
      expect(objects.map((object) => object.key)).toContain(at('names', name))
      await storage.remove(at('names', name))
    },
  )

  it('stores a stream of unknown length in parts, byte for byte', async () => {
    const total = 20 * 1024 * 1024 + 12_345
    let made = 0
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (made >= total) return controller.close()
        const chunk = new Uint8Array(Math.min(300_007, total - made)).map((_, i) => (made + i) % 251)
        made += chunk.length
        controller.enqueue(chunk)
      },
    })
    await storage.put(at('large'), stream)
    expect((await storage.head(at('large')))?.bytes).toBe(total)
    let read = 0
    let wrong = 0
    const stored = await storage.get(at('large'))
    expect(stored).toBeDefined()
    if (stored) {
      for await (const chunk of stored.body) {
        for (const [i, byte] of chunk.entries()) if (byte !== (read + i) % 251) wrong++
        read += chunk.length
      }
    }
    expect([read, wrong]).toEqual([total, 0])
  })

  it('stores a short and an empty stream too', async () => {
    const streamOf = (text: string): ReadableStream<Uint8Array> =>
      new Response(text).body ?? new ReadableStream()
    await storage.put(at('short'), streamOf('short'))
    await storage.put(
      at('empty'),
      new ReadableStream<Uint8Array>({ start: (controller) => controller.close() }),
    )
    expect([(await storage.head(at('short')))?.bytes, (await storage.head(at('empty')))?.bytes]).toEqual([
      5, 0,
    ])
  })

  it('leaves nothing under the name when the stream breaks off', async () => {
    let pulls = 0
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulls++ > 20) controller.error(new Error('the source broke'))
        else controller.enqueue(new Uint8Array(1024 * 1024))
      },
    })
    await expect(storage.put(at('broken'), broken)).rejects.toThrow('the source broke')
    expect(await storage.head(at('broken'))).toBeUndefined()
  })

  it("lists a tenant's own objects only, page by page", async () => {
    const other = newId('tenant')
    await storage.put(tenantKey(other, 'listed', 'x'), 'x')
    for (const name of ['a', 'b', 'c']) await storage.put(tenantKey(tenantId, 'listed', name), name.repeat(3))
    const { objects, cursor } = await storage.list(tenantId, 'listed/')
    expect(objects.map(({ key, bytes }) => [key, bytes])).toEqual(
      ['a', 'b', 'c'].map((name) => [tenantKey(tenantId, 'listed', name), 3]),
    )
    expect(objects[0]?.changedAt.getTime()).toBeGreaterThan(Date.now() - 60_000)
    expect(cursor).toBeUndefined()
  })

  it('signs an upload that only a body of the promised length and type fits', async () => {
    const upload = await storage.signedUpload(at('signed.csv'), {
      expiresInS: 60,
      contentType: 'text/csv',
      bytes: 8,
    })
    const send = (body: string, headers = upload.headers): Promise<Response> => {
      const { 'content-length': _length, ...rest } = headers
      return fetch(upload.url, { method: upload.method, headers: rest, body })
    }
    expect(upload.method).toBe('PUT')
    expect((await send('far too long')).status).toBe(403)
    expect((await send('a,b\n1,2\n', { ...upload.headers, 'content-type': 'text/html' })).status).toBe(403)
    expect(await storage.head(at('signed.csv'))).toBeUndefined()
    expect((await send('a,b\n1,2\n')).status).toBe(200)
    expect((await storage.head(at('signed.csv')))?.bytes).toBe(8)
  })

  it('signs a download, and a signature for one name opens no other', async () => {
    await storage.put(at('secret.csv'), 'a,b\n')
    const { url } = await storage.signedDownload(at('signed.csv'), { expiresInS: 60 })
    expect(await (await fetch(url)).text()).toBe('a,b\n1,2\n')
    expect((await fetch(url.replace('signed.csv', 'secret.csv'))).status).toBe(403)
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403)
  })

  it('tells refused keys from a storage that cannot be reached', async () => {
    const wrong = connectStorage({ ...s3, secretAccessKey: 'wrong' })
    await expect(wrong.head(at('plain.txt'))).rejects.toMatchObject({
      code: 'storage_refused',
      retryable: false,
    })
    const nowhere = connectStorage({ ...s3, endpoint: 'http://127.0.0.1:9' })
    await expect(nowhere.head(at('plain.txt'))).rejects.toMatchObject({
      code: 'storage_unavailable',
      retryable: true,
    })
  })

  it('stops when it is told to', async () => {
    const error: unknown = await storage
      .get(at('large'), { signal: AbortSignal.abort() })
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(DOMException)
  })
})

describe('the name of a stored object', () => {
  const tenantId = newId('tenant')

  it('begins with its tenant', () => {
    expect(tenantKey(tenantId, 'files', 'a.csv')).toBe(`tenants/${tenantId}/files/a.csv`)
  })

  it.each([
    ['..'],
    ['files', '..', '..', 'x'],
    ['files/../../x'],
    ['a..b'],
    ['/x'],
    ['x/'],
    ['a//b'],
    ['.'],
    [''],
    ['a\nb'],
    ['a\u0000'],
    ['a\\b'],
    ['\ud800'],
    ['ä'.repeat(256)],
  ])('is refused when it is made of %j', (...parts) => {
    expect(() => tenantKey(tenantId, ...parts)).toThrow(/The name of the stored file/)
  })

  it('is checked again by every call, wherever it comes from', async () => {
    const storage = connectStorage({
      endpoint: 'http://127.0.0.1:9',
      bucket: 'b',
      region: 'auto',
      accessKeyId: 'a',
      secretAccessKey: 'b',
    })
    const foreign = 'tenants/../other/x' as StorageKey
    await expect(storage.head(foreign)).rejects.toThrow(/The name of the stored file/)
    await expect(storage.put(foreign, 'x')).rejects.toThrow(/The name of the stored file/)
    await expect(storage.signedDownload(foreign, { expiresInS: 1 })).rejects.toThrow(
      /The name of the stored file/,
    )
  })
})
