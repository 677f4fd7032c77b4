import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { AwsClient } from 'aws4fetch'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startS3, type S3 } from '#local/s3.ts'

let dir: string
let s3: S3
let client: AwsClient
const at = (key: string) => `${s3.endpoint}/${s3.bucket}/${key}`

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-s3-'))
  s3 = await startS3({ dir, bucket: 'weir', accessKeyId: 'local', secretAccessKey: 'a-secret-of-the-test' })
  client = new AwsClient({ ...s3, service: 's3', retries: 0 })
})

afterAll(async () => {
  await s3.stop()
  await rm(dir, { recursive: true })
})

describe('object storage', () => {
  it('keeps what is put, and gives it back whole, in part and by its head', async () => {
    const bytes = randomBytes(300_000)
    expect((await client.fetch(at('a/b c.parquet'), { method: 'PUT', body: bytes })).status).toBe(200)

    const whole = await client.fetch(at('a/b c.parquet'))
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true)

    const head = await client.fetch(at('a/b c.parquet'), { method: 'HEAD' })
    expect(head.headers.get('content-length')).toBe('300000')
    expect(head.headers.get('etag')).toMatch(/^"[0-9a-f]{32}"$/)

    const part = await client.fetch(at('a/b c.parquet'), { headers: { Range: 'bytes=299990-299999' } })
    expect(part.status).toBe(206)
    expect(part.headers.get('content-range')).toBe('bytes 299990-299999/300000')
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(299_990))).toBe(true)

    const tail = await client.fetch(at('a/b c.parquet'), { headers: { Range: 'bytes=-8' } })
    expect(Buffer.from(await tail.arrayBuffer()).equals(bytes.subarray(-8))).toBe(true)
  })

  it('lists by prefix, page by page, and forgets what is deleted', async () => {
    for (const key of ['list/1', 'list/2', 'list/3', 'other/1'])
      await client.fetch(at(key), { method: 'PUT', body: key })
    const list = async (query: string) =>
      (await client.fetch(`${s3.endpoint}/${s3.bucket}?list-type=2&${query}`)).text()
    const first = await list('prefix=list%2F&max-keys=2')
    expect(first.match(/<Key>[^<]+<\/Key>/g)).toEqual(['<Key>list/1</Key>', '<Key>list/2</Key>'])
    const token = /<NextContinuationToken>([^<]+)</.exec(first)?.[1] ?? ''
    expect(await list(`prefix=list%2F&continuation-token=${encodeURIComponent(token)}`)).toContain(
      '<Key>list/3</Key>',
    )

    expect((await client.fetch(at('list/1'), { method: 'DELETE' })).status).toBe(204)
    expect((await client.fetch(at('list/1'))).status).toBe(404)
  })

  it('takes an upload through a signed address, with nothing but the address', async () => {
    const signed = await client.sign(`${at('upload.csv')}?X-Amz-Expires=60`, {
      method: 'PUT',
      aws: { signQuery: true },
    })
    const put = await fetch(signed.url, {
      method: 'PUT',
      body: 'a,b\n1,2\n',
      headers: { 'Content-Type': 'text/csv' },
    })
    expect(put.status).toBe(200)
    const back = await client.fetch(at('upload.csv'))
    expect([await back.text(), back.headers.get('content-type')]).toEqual(['a,b\n1,2\n', 'text/csv'])
  })

  it('refuses a wrong key, another method or path than was signed, an expired address, and no signature', async () => {
    const wrong = new AwsClient({ ...s3, secretAccessKey: 'another', service: 's3', retries: 0 })
    const put = await client.sign(`${at('x')}?X-Amz-Expires=60`, { method: 'PUT', aws: { signQuery: true } })
    const old = await client.sign(`${at('x')}?X-Amz-Expires=60`, {
      method: 'PUT',
      aws: { signQuery: true, datetime: '20200101T000000Z' },
    })
    const replies = await Promise.all([
      wrong.fetch(at('x'), { method: 'PUT', body: 'x' }),
      fetch(put.url, { method: 'DELETE' }),
      fetch(put.url.replace('/x?', '/y?'), { method: 'PUT', body: 'x' }),
      fetch(old.url, { method: 'PUT', body: 'x' }),
      fetch(at('x')),
    ])
    const codes = await Promise.all(
      replies.map(async (reply) => /<Code>(\w+)</.exec(await reply.text())?.[1]),
    )
    expect(replies.map((reply) => reply.status)).toEqual([403, 403, 403, 403, 403])
    expect(codes).toEqual([
      'SignatureDoesNotMatch',
      'SignatureDoesNotMatch',
      'SignatureDoesNotMatch',
      'AccessDenied',
      'AccessDenied',
    ])
  })

  it('lets a page of any origin upload', async () => {
    const preflight = await fetch(at('upload.csv'), {
      method: 'OPTIONS',
      headers: {
        Origin: 'http://localhost:5173',
        'Access-Control-Request-Method': 'PUT',
        'Access-Control-Request-Headers': 'content-type',
      },
    })
    expect(preflight.status).toBe(200)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT')
  })

  it('finds everything again after a restart, and says when its port is in use', async () => {
    const before = await startS3({ dir: join(dir, 'again'), bucket: 'weir' })
    const own = new AwsClient({ ...before, service: 's3', retries: 0 })
    await own.fetch(`${before.endpoint}/weir/kept`, { method: 'PUT', body: 'still here' })
    await expect(startS3({ dir: join(dir, 'again'), bucket: 'weir', port: before.port })).rejects.toThrow(
      `Port ${before.port} is in use, and object storage needs it`,
    )
    await before.stop()
    const after = await startS3({ dir: join(dir, 'again'), bucket: 'weir', port: before.port })
    expect(await (await own.fetch(`${after.endpoint}/weir/kept`)).text()).toBe('still here')
    await after.stop()
  })
})
