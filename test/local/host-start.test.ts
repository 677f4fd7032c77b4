import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, it, onTestFinished } from 'vitest'

import { lockFolder } from '#local/lock.ts'
import { openPortBook } from '#local/port-book.ts'
import { readReal } from '#local/real.ts'
import { loadSecrets } from '#local/secrets.ts'
import { undoList } from '#local/undo.ts'
import { environment } from '#src/env.ts'

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-start-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return dir
}

async function occupy(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => new Promise<void>((done) => void server.close(() => done())))
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

describe('ports', () => {
  it('stay the same from one start to the next while they are free', async () => {
    const dir = await folder()
    const port = await (await openPortBook(dir)).take('redis')
    expect(await (await openPortBook(dir)).take('redis')).toBe(port)
  })

  it('are chosen anew when the list of them cannot be read', async () => {
    const dir = await folder()
    await writeFile(join(dir, 'ports.json'), '{')
    expect(await (await openPortBook(dir)).take('redis')).toBeGreaterThan(0)
  })

  it('move when somebody else has them, unless one was asked for', async () => {
    const dir = await folder()
    const taken = await occupy()
    await writeFile(join(dir, 'ports.json'), JSON.stringify({ s3: taken }))
    expect(await (await openPortBook(dir)).take('s3')).not.toBe(taken)
    const book = await openPortBook(dir, { worker: taken })
    await expect(book.take('worker')).rejects.toThrow(`Port ${taken} is in use, and the Worker needs it`)
  })

  it.each([0, -1, 65_536, 1.5])('%s is no port', async (port) => {
    const book = await openPortBook(await folder(), { worker: port })
    await expect(book.take('worker')).rejects.toThrow(`${port} is no port for the Worker`)
  })
})

describe('secrets', () => {
  it('are made once, strong enough for the Worker, and readable by their owner only', async () => {
    const dir = await folder()
    const first = await loadSecrets(dir)
    expect(await loadSecrets(dir)).toEqual(first)
    expect((await stat(join(dir, 'secrets.json'))).mode & 0o777).toBe(0o600)
    const { CLAIM_KEY, MASTER_KEY, TOKEN_KEY } = environment.shape
    expect(CLAIM_KEY.safeParse(first.claimKey).success).toBe(true)
    expect(MASTER_KEY.safeParse(first.masterKey).success).toBe(true)
    expect(TOKEN_KEY.safeParse(first.tokenKey).success).toBe(true)
    expect(new Set(Object.values(first)).size).toBe(Object.keys(first).length)
  })

  it('are completed when a newer Weir needs more, and a damaged file is named', async () => {
    const dir = await folder()
    const path = join(dir, 'secrets.json')
    await writeFile(path, JSON.stringify({ claimKey: 'kept' }), { mode: 0o644 })
    expect(await loadSecrets(dir)).toMatchObject({
      claimKey: 'kept',
      masterKey: expect.stringMatching(/^.{43}$/),
    })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await chmod(path, 0o600)
    await writeFile(path, '{')
    await expect(loadSecrets(dir)).rejects.toThrow(`${path} is damaged`)
  })
})

describe('a folder', () => {
  it('belongs to one stack at a time', async () => {
    const dir = await folder()
    const unlock = await lockFolder(dir)
    await expect(lockFolder(dir)).rejects.toThrow(
      `Another Weir stack (process ${process.pid}) runs in ${dir}`,
    )
    await unlock()
    const again = await lockFolder(dir)
    await again()
  })

  it('is free again when the process that had it is gone', async () => {
    const dir = await folder()
    await writeFile(join(dir, 'lock'), '4194303')
    const unlock = await lockFolder(dir)
    expect(await readFile(join(dir, 'lock'), 'utf8')).toBe(String(process.pid))
    await unlock()
  })
})

describe('real services', () => {
  it('are none without variables', () => {
    expect(readReal({ PATH: '/bin' })).toEqual({})
  })

  it('need all their variables, and every missing or wrong one is named at once', () => {
    const read = () =>
      readReal({
        DATABASE_URL: 'mysql://x',
        UPSTASH_REDIS_REST_URL: 'https://redis.example',
        QSTASH_URL: 'https://q.example',
      })
    expect(read).toThrow('these environment variables are missing or wrong')
    for (const line of [
      'DATABASE_URL: is no postgresql address',
      'WEIR_OWNER_URL: is needed because DATABASE_URL is set',
      'CLAIM_KEY: is needed because DATABASE_URL is set',
      'UPSTASH_REDIS_REST_TOKEN: is needed because UPSTASH_REDIS_REST_URL is set',
      'PUBLIC_URL: is needed because QSTASH_URL is set',
    ])
      expect(read).toThrow(line)
  })

  it('replace their stand-ins one by one', () => {
    expect(
      readReal({ UPSTASH_REDIS_REST_URL: 'https://redis.example', UPSTASH_REDIS_REST_TOKEN: 't' }),
    ).toEqual({
      redis: { url: 'https://redis.example', token: 't' },
    })
  })
})

describe('what was started', () => {
  it('is ended in the opposite order, once, and one failure does not keep the rest alive', async () => {
    const ended: string[] = []
    const undo = undoList()
    undo.add(async () => ended.push('first'))
    undo.add(() => Promise.reject(new Error('stuck')))
    undo.add(async () => ended.push('last'))
    const [one, two] = await Promise.allSettled([undo.run(), undo.run()])
    expect(ended).toEqual(['last', 'first'])
    expect([one?.status, two?.status]).toEqual(['rejected', 'rejected'])
  })
})
