import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { build as parse } from 'esbuild'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import { buildWhenStale, bundles, modulesOf, root, sizeOf } from '#local/build.ts'
import { freePort } from '#local/ports.ts'
import { compatibilityDate, compatibilityFlags } from '#local/worker.ts'

beforeAll(() => buildWhenStale())

async function start(...options: string[]) {
  const dir = await mkdtemp(join(tmpdir(), 'weir-program-'))
  const child = spawn(process.execPath, ['local/start.ts', '--dir', dir, ...options], { cwd: root })
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
    await rm(dir, { recursive: true })
  })
  let text = ''
  child.stdout.on('data', (data: Buffer) => (text += data.toString()))
  child.stderr.on('data', (data: Buffer) => (text += data.toString()))
  return { child, ended, dir, text: () => text }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('npm start', () => {
  it.each([['workerd'], ['deno']])(
    'serves the console and the API on %s until it is told to end',
    async (platform) => {
      const port = await freePort()
      const program = await start('--port', String(port), ...(platform === 'deno' ? ['--deno'] : []))
      await expect
        .poll(program.text, { timeout: 30_000, interval: 100 })
        .toContain('Ctrl-C stops everything.')
      const url = `http://127.0.0.1:${port}`
      expect(program.text()).toContain(url)
      expect(await (await fetch(`${url}/v1/health`)).json()).toEqual({ status: 'ok' })

      const page = await fetch(url)
      expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
      const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? ''
      const asset = await fetch(url + script)
      expect([asset.status, asset.headers.get('content-type')]).toEqual([
        200,
        'text/javascript; charset=utf-8',
      ])
      expect((await fetch(`${url}/v1/runs`)).status).toBe(401)

      const postmaster = Number(
        (await readFile(join(program.dir, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n')[0],
      )
      program.child.kill('SIGINT')
      expect(await program.ended).toEqual([0, null])
      expect(isAlive(postmaster)).toBe(false)
      await expect(fetch(url)).rejects.toThrow('fetch failed')
      expect(await readdir(program.dir)).not.toContain('lock')
    },
  )

  it('says which port is in use, and ends with 1', async () => {
    const server = createServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => new Promise<void>((done) => void server.close(() => done())))
    const address = server.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const program = await start('--port', String(port))
    expect(await program.ended).toEqual([1, null])
    expect(program.text().trimEnd().split('\n').at(-1)).toBe(
      `Port ${port} is in use, and the Worker needs it: stop what listens there, or choose another port.`,
    )
  })

  it('says which options it does not understand', async () => {
    const program = await start('--heap', 'much')
    expect(await program.ended).toEqual([1, null])
    expect(program.text()).toContain('--heap wants a whole number, not "much".')
  })
})

describe('the bundles', () => {
  it('run here under the date and the flags that they are deployed with', async () => {
    const config = await readFile(join(root, 'wrangler.toml'), 'utf8')
    expect(config).toContain(`compatibility_date = "${compatibilityDate}"`)
    expect(config).toContain(`compatibility_flags = ${JSON.stringify(compatibilityFlags).replace(',', ', ')}`)
  })

  it.each(Object.entries(bundles))(
    'for %s need nothing but the platform, and fit',
    async (platform, file) => {
      const parsed = await parse({
        entryPoints: (await modulesOf(file)).map(({ path }) => join(dirname(file), path)),
        outdir: dirname(file),
        bundle: true,
        format: 'esm',
        external: ['*'],
        write: false,
        metafile: true,
      })
      const imports = Object.values(parsed.metafile.inputs).flatMap((input) =>
        input.imports.map((one) => one.path),
      )
      expect(imports).toContain('node:crypto')
      expect(
        imports.filter(
          (name) =>
            !/^(<runtime>|node:|cloudflare:|\.\/(libpg-query|quickjs)\.wasm$|\.\/part-[A-Z0-9]+\.js$)/.test(
              name,
            ),
        ),
      ).toEqual([])
      for (const wasm of ['./libpg-query.wasm', './quickjs.wasm'])
        expect(imports.includes(wasm)).toBe(platform === 'workerd')
      expect((await sizeOf(file)).gzipBytes).toBeLessThan(1024 * 1024)
    },
  )
})
