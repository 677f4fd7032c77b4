import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { knownPasswords } from '#src/connectors/known-passwords.ts'

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex').toUpperCase()
const stolen = 'a stolen and rare password'
const padding = 'a password that only pads'
let server: Server
let url: string
let asked: { path: string; padded: string | undefined }[] = []
let mood: 'well' | 'broken' | 'silent' | 'elsewhere' | 'garbage' = 'well'

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push({ path: request.url ?? '', padded: request.headers['add-padding'] as string | undefined })
    if (mood === 'silent') return
    if (mood === 'broken') return void response.writeHead(503).end()
    if (mood === 'elsewhere') return void response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end()
    if (mood === 'garbage') return void response.end('<html>')
    const lines = [`${sha1(stolen).slice(5)}:7`, `${sha1(padding).slice(5)}:0`, `${'0'.repeat(35)}:1`]
    response.end(lines.join('\r\n'))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  url = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/range/`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const lines: Record<string, unknown>[] = []
const isKnown = (password: string) => knownPasswords(url, (line) => void lines.push(line))(password)

describe('known passwords', () => {
  it('are asked for by five characters of a hash, with padding, and nothing else', async () => {
    asked = []
    expect(await isKnown(stolen)).toBe(true)
    expect(await isKnown('a password that nobody has stolen')).toBe(false)
    expect(asked.map(({ padded }) => padded)).toEqual(['true', 'true'])
    expect(asked[0]?.path).toBe(`/range/${sha1(stolen).slice(0, 5)}`)
  })

  it('do not come from the padding', async () => {
    expect(await isKnown(padding)).toBe(false)
  })

  it('of the commonest kind are known without asking, whatever their case', async () => {
    asked = []
    for (const common of ['password1', 'PassWord1', 'qwertyuiop', '12345678', 'iloveyou'])
      expect(await isKnown(common)).toBe(true)
    expect(asked).toEqual([])
    const offline = knownPasswords(undefined, () => undefined)
    expect([await offline('sunshine1'), await offline(stolen)]).toEqual([true, false])
  })

  it.each(['broken', 'elsewhere', 'garbage'] as const)(
    'let everybody pass when the service is %s',
    async (now) => {
      mood = now
      expect(await isKnown(stolen)).toBe(false)
      expect(await isKnown('password1')).toBe(true)
      mood = 'well'
    },
  )

  it('are waited for two seconds at most, and the log says nothing of them', async () => {
    mood = 'silent'
    const startedMs = Date.now()
    expect(await isKnown(stolen)).toBe(false)
    expect(Date.now() - startedMs).toBeLessThan(3_000)
    mood = 'well'
    expect(JSON.stringify(lines)).not.toContain(stolen)
    expect(JSON.stringify(lines)).not.toContain(sha1(stolen).slice(0, 5))
    expect(lines.at(-1)).toMatchObject({ event: 'known_passwords.unavailable' })
  })
})
