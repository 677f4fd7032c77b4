import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildProgram } from '#local/build.ts'
import { startDeno } from '#local/deno.ts'
import { startWorker, type WorkerHost } from '#local/worker.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-smuggling-'))
})
afterAll(() => rm(dir, { recursive: true }))

/** What comes back for these bytes, until the host closes or says nothing for a while. */
const say = (host: WorkerHost, text: string): Promise<string> =>
  new Promise<string>((resolve, reject) => {
    let heard = ''
    const socket = connect(host.port, '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.setTimeout(400, () => socket.destroy())
    socket.on('data', (bytes) => (heard += bytes.toString('latin1')))
    socket.on('close', () => resolve(heard))
    socket.on('error', (error) => (heard === '' ? reject(error) : undefined))
  }).catch(() => '')

const statuses = (heard: string): number[] =>
  [...heard.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))

const smuggled = 'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n'
const post = (...lines: string[]) =>
  `POST /hold HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${lines.join('\r\n')}\r\n\r\n`

describe.each([
  ['workerd', startWorker, 'test/local/fixtures/worker.ts'],
  ['deno', startDeno, 'test/local/fixtures/deno.ts'],
] as const)('on %s, a request of which two readers may think differently', (platform, start, entry) => {
  let host: WorkerHost
  beforeAll(async () => {
    const { file } = await buildProgram({ entry, platform, outDir: join(dir, platform) })
    host = await start({ env: {}, script: file, onLine: () => undefined })
  })
  afterAll(() => host.stop())

  it('is heard at all when it is clear', async () => {
    const body = '{"megabytes":0}'
    expect(statuses(await say(host, post(`Content-Length: ${body.length}`) + body))).toEqual([200])
  })

  it.each([
    ['two lengths', post('Content-Length: 5', 'Content-Length: 41') + `{"a"}${smuggled}`],
    ['two lengths on one line', post('Content-Length: 5, 41') + `{"a"}${smuggled}`],
    ['a length with a sign', post('Content-Length: +5') + `{"a"}${smuggled}`],
    ['a length in hex', post('Content-Length: 0x5') + `{"a"}${smuggled}`],
    ['a negative length', post('Content-Length: -5') + `{"a"}${smuggled}`],
    ['an unknown coding', post('Transfer-Encoding: xchunked') + `5\r\n{"a"}\r\n0\r\n\r\n${smuggled}`],
    ['chunked that is not last', post('Transfer-Encoding: chunked, identity') + `0\r\n\r\n${smuggled}`],
    ['a space before the colon', post('Content-Length : 5') + `{"a"}${smuggled}`],
    ['a folded header', post('Content-Length: 5\r\n X: y') + `{"a"}${smuggled}`],
    [
      'a bare line feed in its head',
      `GET /v1/health HTTP/1.1\nHost: x\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n${smuggled}`,
    ],
  ])('is not two requests with %s', async (_, text) => {
    expect(statuses(await say(host, text)).length).toBeLessThanOrEqual(1)
  })

  it('is one request, or none, when it says its length and comes in chunks', async () => {
    const text = post('Content-Length: 4', 'Transfer-Encoding: chunked') + `f\r\n{"megabytes":0}\r\n0\r\n\r\n`
    expect([[200], [400]]).toContainEqual(statuses(await say(host, text + smuggled)))
  })
})
