import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { environment } from '#src/env.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')

describe('the documents', () => {
  it('name only files and folders that are there', () => {
    const missing = documents.flatMap((document) => {
      const text = textOf(document)
      const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, to = '']) =>
        join(dirname(document), to),
      )
      const named = [
        ...text.matchAll(/`((?:src|web|local|test|docs|migrations|examples|bench|\.ci)(?:\/[\w.*-]+)*)\/?`/g),
      ].map(([, path = '']) => path)
      return [...links, ...named]
        .filter((path) => !path.includes('*') && !existsSync(join(root, path)))
        .map((path) => `${document}: ${path}`)
    })
    expect(documents.length).toBeGreaterThan(8)
    expect(missing).toEqual([])
  })

  it('name only npm scripts that are there', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> }
    const named = documents.flatMap((document) =>
      [...textOf(document).matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name),
    )
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  it('say of every variable of the environment what it is', () => {
    const text = textOf('docs/operations/environment.md')
    expect(Object.keys(environment.shape).filter((name) => !text.includes(`\`${name}\``))).toEqual([])
  })

  it('begin the README with the two commands', () => {
    expect(textOf('README.md')).toMatch(/^# Weir\n\n {4}npm ci && npm run demo.*\n {4}npm ci && npm test/)
  })
})
