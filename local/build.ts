import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'

import { build as bundle, type Plugin } from 'esbuild'
import { build as buildWeb } from 'vite'

import { consoleFiles } from './console-files.ts'
import { readGrammar } from './grammar.ts'
import { quickjsModule, readQuickjs } from './quickjs.ts'

export const root = join(import.meta.dirname, '..')
const builtins = new Set(builtinModules)

const dist = join(root, 'dist')
export type Platform = 'workerd' | 'deno'
/** A folder each: wrangler sends what it finds beside the Worker. */
export const bundles: Record<Platform, string> = {
  workerd: join(dist, 'worker', 'worker.js'),
  deno: join(dist, 'deno', 'deno.js'),
}
export type Built = { file: string; bytes: number; gzipBytes: number }

/** Builds what is deployed: the console, the Worker and the Deno program, a folder each under `dist/`. */
export async function buildAll(): Promise<Built[]> {
  // Aside first, so that what runs from dist/ never meets half a build.
  const aside = join(dist, `.new-${process.pid}`)
  const consoleDir = join(aside, 'web')
  try {
    await buildConsole(consoleDir)
    const built = await Promise.all([
      buildProgram({
        entry: 'src/worker.ts',
        platform: 'workerd',
        outDir: join(aside, 'worker'),
        consoleDir,
      }),
      buildProgram({ entry: 'src/deno.ts', platform: 'deno', outDir: join(aside, 'deno'), consoleDir }),
    ])
    for (const name of ['web', 'worker', 'deno']) {
      await rm(join(dist, name), { recursive: true, force: true })
      await rename(join(aside, name), join(dist, name))
    }
    return built.map((one) => ({ ...one, file: join(dist, relative(aside, one.file)) }))
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** Builds when a source is newer than what was built from it. */
export async function buildWhenStale(log: (line: string) => void = () => undefined): Promise<void> {
  const built = await stat(bundles.deno).catch(() => undefined)
  if (built && (await newestChange()) <= built.mtimeMs) return
  log('Building the console and the Worker …')
  // In a process of its own: vite declares the process that it builds in to be production.
  await promisify(execFile)(process.execPath, [import.meta.filename])
}

async function newestChange(): Promise<number> {
  const lists = await Promise.all(
    ['src', 'web'].map((folder) => readdir(join(root, folder), { recursive: true, withFileTypes: true })),
  )
  const files = lists.flat().filter((entry) => entry.isFile())
  const paths = [
    ...files.map((entry) => join(entry.parentPath, entry.name)),
    join(root, 'package-lock.json'),
    join(root, 'local', 'build.ts'),
  ]
  const stats = await Promise.all(paths.map((path) => stat(path)))
  return Math.max(...stats.map(({ mtimeMs }) => mtimeMs))
}

export async function buildConsole(outDir: string): Promise<void> {
  await buildWeb({ root: join(root, 'web'), logLevel: 'warn', build: { outDir, emptyOutDir: true } })
}

/**
 * Bundles one entry into `<outDir>/<entry>.js`, with what it loads later as `part-*.js` beside it, PostgreSQL's grammar as
 * `libpg-query.wasm` and the scripts' sandbox as `quickjs.wasm`.
 */
export async function buildProgram(options: {
  entry: string
  platform: Platform
  outDir: string
  consoleDir?: string
}): Promise<Built> {
  const file = join(options.outDir, options.entry.replace(/^.*\//, '').replace(/\.ts$/, '.js'))
  await mkdir(dirname(file), { recursive: true })
  await bundle({
    absWorkingDir: root,
    entryPoints: [options.entry],
    outdir: options.outDir,
    chunkNames: 'part-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    platform: 'browser',
    conditions: options.platform === 'workerd' ? ['workerd', 'worker', 'browser'] : ['deno', 'worker'],
    mainFields: ['module', 'main'],
    legalComments: 'none',
    // PostgreSQL's grammar asks where it lies, and here nothing tells.
    define: { 'process.env.NODE_ENV': '"production"', 'self.location.href': '"file:///"', __dirname: '"/"' },
    external: ['cloudflare:*', 'pg-native'],
    logLevel: 'warning',
    plugins: [nodeModules, besideWasm(options.platform), consoleModule(options.consoleDir)],
  })
  await writeFile(join(options.outDir, 'libpg-query.wasm'), await readGrammar())
  await writeFile(join(options.outDir, 'quickjs.wasm'), await readQuickjs())
  return { file, ...(await sizeOf(file)) }
}

/** The modules of a program built into a folder, by their paths in it, the entry first. */
export async function modulesOf(file: string): Promise<{ path: string; contents: string }[]> {
  const names = (await readdir(dirname(file))).filter(
    (name) => name.endsWith('.js') && name !== basename(file),
  )
  return Promise.all(
    [basename(file), ...names].map(async (path) => ({
      path,
      contents: await readFile(join(dirname(file), path), 'utf8'),
    })),
  )
}

/** The WebAssembly beside a program. */
export async function wasmOf(file: string): Promise<{ path: string; contents: Uint8Array<ArrayBuffer> }[]> {
  const names = (await readdir(dirname(file))).filter((name) => name.endsWith('.wasm'))
  return Promise.all(
    names.map(async (path) => ({
      path,
      contents: new Uint8Array(await readFile(join(dirname(file), path))),
    })),
  )
}

/** All of a program's JavaScript. */
export async function sizeOf(file: string): Promise<{ bytes: number; gzipBytes: number }> {
  const texts = (await modulesOf(file)).map(({ contents }) => Buffer.from(contents))
  return {
    bytes: texts.reduce((sum, text) => sum + text.length, 0),
    gzipBytes: texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0),
  }
}

/** Node's own modules come from the platform; CommonJS packages reach them through an import, for there is no `require`. */
const nodeModules: Plugin = {
  name: 'node-modules',
  setup(build) {
    build.onResolve({ filter: /^(node:)?[a-z_/0-9]+$/ }, ({ path, kind }) => {
      const name = path.replace(/^node:/, '')
      if (!builtins.has(name)) return undefined
      return kind === 'require-call'
        ? { path: name, namespace: 'required' }
        : { path: `node:${name}`, external: true }
    })
    build.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `import found from 'node:${path}'; module.exports = found`,
    }))
  },
}

/** workerd compiles what stands beside the bundle before the first request; Deno's program does that itself. */
const besideWasm = (platform: Platform): Plugin => ({
  name: 'beside-wasm',
  setup(build) {
    build.onResolve({ filter: /[./]wasm$/ }, ({ path }) => {
      const beside = path === quickjsModule ? './quickjs.wasm' : `./${path.replace(/^.*\//, '')}`
      return platform === 'workerd' ? { path: beside, external: true } : { path: beside, namespace: 'wasm' }
    })
    build.onLoad({ filter: /.*/, namespace: 'wasm' }, ({ path }) => ({
      contents: `const bytes = await Deno.readFile(new URL(${JSON.stringify(path)}, import.meta.url))
        export default await WebAssembly.compile(bytes)`,
    }))
  },
})

const consoleModule = (dir: string | undefined): Plugin => ({
  name: 'console',
  setup(build) {
    build.onResolve({ filter: /^weir:console$/ }, ({ path }) => ({ path, namespace: 'console' }))
    build.onLoad({ filter: /.*/, namespace: 'console' }, async () => ({
      contents: JSON.stringify(dir ? await consoleFiles(dir) : {}),
      loader: 'json',
    }))
  },
})

if (import.meta.main) {
  const built = await buildAll()
  for (const { file, bytes, gzipBytes } of built)
    console.log(`${relative(root, file).padEnd(16)} ${kib(bytes)}, ${kib(gzipBytes)} gzipped`)
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(0)} KiB`
}
