import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Who may import whom, by folder of src. What is not written here is refused. */
const mayImport: Record<string, readonly string[]> = {
  domain: [],
  db: ['domain'],
  cache: ['domain'],
  storage: ['domain'],
  lineage: ['domain'],
  sandbox: ['domain'],
  analysis: ['domain'],
  connectors: ['domain', 'storage'],
  engine: ['domain', 'db', 'cache', 'storage', 'connectors', 'lineage', 'sandbox', 'analysis'],
  actions: [
    'domain',
    'db',
    'cache',
    'storage',
    'connectors',
    'lineage',
    'sandbox',
    'analysis',
    'engine',
    'env.ts',
  ],
  http: [
    'domain',
    'db',
    'cache',
    'storage',
    'connectors',
    'lineage',
    'sandbox',
    'analysis',
    'engine',
    'actions',
    'env.ts',
  ],
  routes: [
    'domain',
    'db',
    'cache',
    'storage',
    'connectors',
    'lineage',
    'sandbox',
    'analysis',
    'engine',
    'actions',
    'http',
  ],
  queues: [
    'domain',
    'db',
    'cache',
    'storage',
    'connectors',
    'lineage',
    'sandbox',
    'analysis',
    'engine',
    'actions',
    'http',
  ],
}

/** Packages that one folder alone knows. */
const knownOnlyTo: Record<string, string> = {
  'drizzle-orm': 'db',
  '@neondatabase/serverless': 'db',
  '@upstash/redis': 'cache',
  '@upstash/qstash': 'queues',
  jose: 'http',
  '@node-saml/node-saml': 'actions',
  oauth4webapi: 'actions',
  'scim-patch': 'actions',
  'scim2-parse-filter': 'actions',
  aws4fetch: 'storage',
  otpauth: 'actions',
  '@simplewebauthn/server': 'actions',
  pg: 'connectors',
  hyparquet: 'connectors',
  'libpg-query': 'lineage',
  'quickjs-emscripten-core': 'sandbox',
  '@jitl/quickjs-wasmfile-release-sync': 'sandbox',
}

type Import = { from: string; to: string; isType: boolean }

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

/** Every import and re-export of a file, with folders inside the project written from its root. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
  return [...text.matchAll(pattern)].map(([, type, plain, dynamic]) => {
    const to = plain ?? dynamic ?? ''
    const inside = to.startsWith('.') ? posix.join(posix.dirname(file), to) : to.replace(/^#/, '')
    return { from: file, to: inside, isType: type !== undefined }
  })
}

const imports = [...filesBelow('src'), ...filesBelow('web/src')].flatMap(importsOf)
const folderOf = (path: string) => path.split('/')[1] ?? ''

describe('the architecture', () => {
  it('is read from more than a few imports, so that these tests cannot pass on nothing', () => {
    expect(imports.length).toBeGreaterThan(200)
  })

  it('lets each layer of src import only the layers below it', () => {
    const wrong = imports.filter(({ from, to }) => {
      if (!from.startsWith('src/') || !to.startsWith('src/')) return false
      const [own, other] = [folderOf(from), folderOf(to)]
      const allowed = mayImport[own]
      return allowed !== undefined && own !== other && !allowed.includes(other)
    })
    expect(wrong).toEqual([])
  })

  it('has no folder in src that the table does not know', () => {
    const folders = new Set(
      filesBelow('src')
        .filter((file) => file.split('/').length > 2)
        .map(folderOf),
    )
    expect([...folders].filter((folder) => !(folder in mayImport))).toEqual([])
  })

  it('keeps each vendor behind one folder', () => {
    const wrong = imports.filter(({ from, to }) => {
      const vendor = Object.keys(knownOnlyTo).find((name) => to === name || to.startsWith(`${name}/`))
      if (vendor === undefined || !from.startsWith('src/') || from.split('/').length === 2) return false
      return folderOf(from) !== knownOnlyTo[vendor]
    })
    expect(wrong).toEqual([])
  })

  it('loads packages later only where the built program finds names in them, which it does not in CommonJS', () => {
    const later = filesBelow('src').flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/\bimport\(\s*'([^#.'][^']*)'/g)].map(
        ([, name = '']) => name,
      ),
    )
    const isModule = (name: string) => {
      const folder = name.split('/').slice(0, name.startsWith('@') ? 2 : 1)
      const text = readFileSync(join(root, 'node_modules', ...folder, 'package.json'), 'utf8')
      const { type, module, exports } = JSON.parse(text) as Record<string, unknown>
      return type === 'module' || module !== undefined || JSON.stringify(exports ?? '').includes('"import"')
    }
    expect(later.length).toBeGreaterThan(5)
    expect([...new Set(later)].filter((name) => !isModule(name))).toEqual([])
  })

  it('imports nothing of the laptop or the tests into the product', () => {
    expect(imports.filter(({ to }) => /^(local|test|cli)\//.test(to))).toEqual([])
  })

  it('gives the console types of the server and no code', () => {
    expect(
      imports.filter(({ from, to, isType }) => from.startsWith('web/') && to.startsWith('src/') && !isType),
    ).toEqual([])
  })

  it('has no folder or file for things without a name of their own', () => {
    const nameless = /(^|\/)(utils?|helpers?|common|lib|core|shared|misc)(\.tsx?$|\/)/
    const files = ['src', 'web/src', 'local', 'test'].flatMap(filesBelow)
    expect(files.filter((file) => nameless.test(file))).toEqual([])
  })
})
