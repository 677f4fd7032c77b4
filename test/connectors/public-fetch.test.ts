import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publicFetch } from '#src/connectors/public-fetch.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { endpoint, type Endpoint } from '#test/support/endpoint.ts'

const ownUrl = 'https://weir.acme.com'
let there: Endpoint
beforeAll(async () => {
  there = await endpoint()
})
afterAll(() => there.close())

const laptop = { ownUrl, allowPrivate: true, mostBytes: 64 * 1024, patienceMs: 1_000 }
const codeOf = (asking: Promise<Response>) =>
  asking.then(
    ({ status }) => status,
    (error: unknown) => (error instanceof StepFailure ? error.code : String(error)),
  )
const ask = (path: string, options = laptop) => codeOf(publicFetch(options)(`${there.url}${path}`))

describe('what a tenant’s server answers', () => {
  it('is read up to 64 KB, and nothing when nothing is wanted', async () => {
    there.on('/fits', () => new Response('x'.repeat(64 * 1024)))
    there.on('/long', () => new Response('x'.repeat(64 * 1024 + 1)))
    expect(await (await publicFetch(laptop)(`${there.url}/fits`)).text()).toHaveLength(64 * 1024)
    expect(await ask('/long')).toBe('too_large')
    const unread = await publicFetch({ ...laptop, mostBytes: 0 })(`${there.url}/long`)
    expect([unread.status, await unread.text()]).toEqual([200, ''])
  })

  it('is counted as it unfolds, however small it came', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024))
    expect(bomb.byteLength).toBeLessThan(256 * 1024)
    there.on('/bomb', () => new Response(bomb, { headers: { 'content-encoding': 'gzip' } }))
    const before = process.memoryUsage().arrayBuffers
    expect(await ask('/bomb')).toBe('too_large')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('may not take longer than it is given, nor drip', async () => {
    there.on('/silent', async () => {
      await pause(2_000, undefined, { ref: false })
      return new Response('late')
    })
    there.on('/drips', () => {
      const drops = new ReadableStream({
        async pull(controller) {
          await pause(100, undefined, { ref: false })
          controller.enqueue(new Uint8Array([46]))
        },
      })
      return new Response(drops)
    })
    for (const path of ['/silent', '/drips']) {
      const startedMs = performance.now()
      expect([path, await ask(path, { ...laptop, patienceMs: 300 })]).toEqual([path, 'unreachable'])
      expect(performance.now() - startedMs).toBeLessThan(1_500)
    }
  })

  it('is not followed anywhere, whatever the way is called', async () => {
    const metadata = 'http://169.254.169.254/latest/meta-data/'
    for (const status of [301, 302, 303, 307, 308]) {
      there.on(
        `/${status}`,
        () => new Response(null, { status, headers: { Location: `${there.url}/inside` } }),
      )
      expect(await ask(`/${status}`)).toBe('http_redirected')
    }
    there.on('/chain', () => new Response(null, { status: 302, headers: { Location: metadata } }))
    there.on('/refresh', () => new Response('', { headers: { Refresh: `0;url=${there.url}/inside` } }))
    expect(await ask('/chain')).toBe('http_redirected')
    expect(await ask('/refresh')).toBe(200)
    expect(there.at('/inside')).toEqual([])
  })

  it('says as little of a closed port as of a silent one', async () => {
    const closed = publicFetch(laptop)('http://127.0.0.1:1/')
    await expect(closed).rejects.toMatchObject({
      code: 'unreachable',
      message: '127.0.0.1:1 cannot be reached, or took longer than 1 s.',
    })
  })
})

describe('a name', () => {
  /** Answers public once and private from then on, as a rebinding server does. */
  const rebinding = () => {
    let asked = 0
    return { lookup: async () => (asked++ === 0 ? ['93.184.216.34'] : ['127.0.0.1']), asked: () => asked }
  }

  it('is judged again at every request', async () => {
    const name = rebinding()
    const fetch = publicFetch({ ...laptop, patienceMs: 50, allowPrivate: false, lookup: name.lookup })
    const real = globalThis.fetch
    const reached: string[] = []
    globalThis.fetch = async (input) => {
      reached.push(input instanceof Request ? input.url : input.toString())
      return new Response('ok')
    }
    try {
      expect(await codeOf(fetch('https://rebinds.acme.net/a'))).toBe(200)
      expect(await codeOf(fetch('https://rebinds.acme.net/b'))).toBe('private_address')
    } finally {
      globalThis.fetch = real
    }
    expect(reached).toEqual(['https://rebinds.acme.net/a'])
    expect(name.asked()).toBe(2)
  })

  it.each([
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://2130706433/',
    'https://127.1/',
    'https://127.0.0.1./',
    'https://①②⑦.⓪.⓪.①/',
    'https://[::1]/',
    'https://[::ffff:7f00:1]/',
    'https://[0:0:0:0:0:ffff:169.254.169.254]/',
    'https://[64:ff9b::a9fe:a9fe]/',
    'https://[fd00:ec2::254]/',
    'https://169.254.169.254/',
    'https://2852039166/',
    'https://metadata.google.internal/',
    'https://metadata.google.internal./',
    'https://localhost/',
    'https://LOCALHOST./',
    'https://a.localhost/',
    'https://db/',
    'https://1.0.0.127.in-addr.arpa/',
    'https://100.64.0.1/',
    'https://192.0.0.192/',
    'https://[fe80::1%25eth0]/',
    'https://user@good.acme.net/',
    'https://good.acme.net:22/',
    'https://good.acme.net:5432/',
    'https://weir.acme.com:8443/',
    'https://weir.acme.com./',
    'http://good.acme.net/',
    'ftp://good.acme.net/',
    'file:///etc/passwd',
    'gopher://good.acme.net/',
    'data:text/plain,x',
    '//good.acme.net/',
    'https://good.acme.net%00.evil.net/',
    '',
  ])('that is not public is never asked: %s', async (url) => {
    const real = globalThis.fetch
    let reached = 0
    globalThis.fetch = async () => {
      reached++
      return new Response('ok')
    }
    try {
      const fetch = publicFetch({ ...laptop, allowPrivate: false, lookup: async () => ['93.184.216.34'] })
      expect(['bad_url', 'private_address', 'own_host']).toContain(await codeOf(fetch(url)))
      expect(reached).toBe(0)
      expect(await codeOf(fetch('https://good.acme.net:8443/'))).toBe(200)
    } finally {
      globalThis.fetch = real
    }
  })
})

/** Who else may call fetch: for addresses that the operator gave, none of which a tenant can name. */
const operators = [
  'src/connectors/known-passwords.ts',
  'src/connectors/mail.ts',
  'src/connectors/public-fetch.ts',
  'src/connectors/txt-records.ts',
]

it('has no way around it in the code: nothing else calls fetch', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const calling = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
    .filter((name) => /(?<![\w.'])fetch\((?!\s*$)/m.test(readFileSync(join(root, name), 'utf8')))
  expect(calling.toSorted()).toEqual(operators)
})
