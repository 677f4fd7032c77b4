import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildProgram } from '#local/build.ts'
import { builtConsole } from './built.ts'

const kib = 1024
let web: Awaited<ReturnType<typeof builtConsole>>
let worker: string

beforeAll(async () => {
  web = await builtConsole()
  worker = await mkdtemp(join(tmpdir(), 'weir-size-'))
})

afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await rm(worker, { recursive: true, force: true })
})

it('gives a browser the first page in 40 KiB, whichever page that is', async () => {
  const sizes = new Map<string, number>()
  const texts = new Map<string, string>()
  for (const name of await readdir(join(web.dir, 'assets'))) {
    const text = await readFile(join(web.dir, 'assets', name), 'utf8')
    texts.set(name, text)
    sizes.set(name, gzipSync(text).length)
  }
  const index = await readFile(join(web.dir, 'index.html'), 'utf8')
  const namesIn = (text: string) => [...sizes.keys()].filter((name) => text.includes(name))
  /** What a script imports at once, to the end; `import(…)` is another page's. */
  const withImports = (name: string, found = new Set<string>()): Set<string> => {
    if (found.has(name)) return found
    found.add(name)
    for (const [, imported] of (texts.get(name) ?? '').matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g))
      if (imported !== undefined) withImports(imported, found)
    return found
  }
  const shell = new Set(namesIn(index).flatMap((name) => [...withImports(name)]))
  const entry = [...shell].find((name) => name.startsWith('index-') && name.endsWith('.js')) ?? ''
  const script = texts.get(entry) ?? ''
  /** What Vite has a browser load together with a page, by number: its scripts and its styles. */
  const [, listed = '[]'] = /m\.f=(\[[^\]]*\])/.exec(script) ?? []
  const files = (JSON.parse(listed) as string[]).map((path) => path.replace('assets/', ''))
  const pages = [
    ...script.matchAll(
      /import\([`"]\.\/([\w.-]+\.js)[`"]\)(?:(?:(?!import\().)*?__vite__mapDeps\(\[([\d,]*)\])?/gs,
    ),
  ].map(([, name = '', numbers = '']) => ({
    name,
    with: numbers === '' ? [] : numbers.split(',').map((number) => files[Number(number)] ?? ''),
  }))
  expect(pages.length).toBeGreaterThanOrEqual(7)
  const withStyles = pages.filter((page) => page.with.some((name) => name.endsWith('.css')))
  expect(withStyles.length).toBeGreaterThanOrEqual(7)

  const firstLoad = (page: (typeof pages)[number]) => {
    const loaded = new Set([...shell, ...withImports(page.name), ...page.with])
    const bytes = [...loaded].reduce((sum, name) => sum + (sizes.get(name) ?? Infinity), 0)
    return bytes + gzipSync(index).length
  }
  const largest = Math.max(...pages.map(firstLoad))
  expect(largest).toBeGreaterThan(15 * kib)
  expect(largest).toBeLessThanOrEqual(40 * kib)
})

it('keeps the Worker with the console in it below 1 MiB, its grammar aside', async () => {
  const built = await buildProgram({
    entry: 'src/worker.ts',
    platform: 'workerd',
    outDir: worker,
    consoleDir: web.dir,
  })
  expect((await readFile(built.file, 'utf8')).includes('<div id=')).toBe(true)
  expect(built.gzipBytes).toBeLessThanOrEqual(kib * kib)
})
