import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import { buildProgram } from '#local/build.ts'
import { startDeno } from '#local/deno.ts'
import { startPostgres, type Postgres } from '#local/postgres.ts'
import { startWorker, type WorkerHost } from '#local/worker.ts'

let dir: string
let postgres: Postgres
const script = { workerd: '', deno: '' }

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-host-'))
  const built = await Promise.all([
    buildProgram({
      entry: 'test/local/fixtures/worker.ts',
      platform: 'workerd',
      outDir: join(dir, 'worker'),
    }),
    buildProgram({ entry: 'test/local/fixtures/deno.ts', platform: 'deno', outDir: join(dir, 'deno') }),
  ])
  script.workerd = built[0].file
  script.deno = built[1].file
  postgres = await startPostgres({ dir: join(dir, 'postgres') })
})

afterAll(async () => {
  await postgres.stop()
  await rm(dir, { recursive: true })
})

describe.each([
  ['workerd', startWorker],
  ['deno', startDeno],
] as const)('a program on %s', (platform, start) => {
  const open = async (
    options: { port?: number; v8Flags?: string[]; env?: Record<string, string>; script?: string } = {},
  ) => {
    const lines: string[] = []
    const host = await start({
      env: {},
      script: script[platform],
      onLine: (line) => lines.push(line),
      ...options,
    })
    onTestFinished(() => host.stop())
    return { host, lines }
  }
  const ask = async (host: WorkerHost, path: string, body?: unknown) => {
    const reply = await fetch(
      host.url + path,
      body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) },
    )
    return reply.status === 204 ? undefined : ((await reply.json()) as unknown)
  }

  it('sees its environment, and its lines are passed on', async () => {
    const { host, lines } = await open({ env: { GREETING: 'hello' } })
    expect(await ask(host, '/env/GREETING')).toEqual({ value: 'hello' })
    await ask(host, '/log')
    await expect.poll(() => lines).toContain('one line to stdout')
  })

  it("loads PostgreSQL's grammar, which is WebAssembly", async () => {
    const { host } = await open()
    expect(await ask(host, '/parse')).toEqual({ parses: true })
  })

  it('reaches a database on this machine over a socket', async () => {
    const { host } = await open()
    const url = postgres.superuserUrl()
    expect(await ask(host, '/sql', { url, text: 'select 6 * 7 as answer' })).toEqual([{ answer: 42 }])
  })

  it('is gone after a kill, and another takes its port', async () => {
    const { host } = await open({ env: { TURN: 'first' } })
    const pid = host.pid()
    await host.kill()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    await expect(ask(host, '/v1/health')).rejects.toThrow('fetch failed')
    expect(() => host.pid()).toThrow('is not running')

    const { host: second } = await open({ env: { TURN: 'second' }, port: host.port })
    expect(second.url).toBe(host.url)
    expect(await ask(second, '/env/TURN')).toEqual({ value: 'second' })
  })

  it('dies when its heap is full, and comes back by itself', async () => {
    const { host, lines } = await open({ v8Flags: ['--max-old-space-size=128'] })
    const pid = host.pid()
    expect(await ask(host, '/hold', { megabytes: 60 })).toEqual({ held: 60 })
    await expect(ask(host, '/hold', { megabytes: 120 })).rejects.toThrow('fetch failed')
    expect(lines.join('\n')).toMatch(/out of memory/)
    await expect
      .poll(() => ask(host, '/v1/health').catch(() => undefined), { timeout: 10_000 })
      .toEqual({ ok: true })
    expect(host.pid()).not.toBe(pid)
    // The limit holds for the new process as well.
    await expect(ask(host, '/hold', { megabytes: 180 })).rejects.toThrow('fetch failed')
  })

  it('has room without a limit', async () => {
    const { host } = await open()
    expect(await ask(host, '/hold', { megabytes: 200 })).toEqual({ held: 200 })
  })

  it('says which port is in use', async () => {
    const other = createServer()
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
    onTestFinished(() => new Promise<void>((done) => void other.close(() => done())))
    const address = other.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    await expect(open({ port })).rejects.toThrow(`Port ${port} is in use, and the Worker needs it`)
  })

  it("fails to start with the program's own words", async () => {
    const broken = join(dir, `broken-${platform}`)
    const built = await buildProgram({ entry: 'test/local/fixtures/broken.ts', platform, outDir: broken })
    await expect(open({ script: built.file })).rejects.toThrow('this program is broken on purpose')
  })
})
