import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const text = readFileSync(join(root, 'docs/security/asvs.md'), 'utf8')
const [applies = ''] = text.split('## What does not apply')
const rows = applies.split('\n').filter((line) => /^\| \d/.test(line))
const proofs = [...applies.matchAll(/`(test\/[\w./-]+\.ts)` › (.*?)(?=<br>| +\|)/g)].map(
  ([, file = '', name = '']) => ({ file, name }),
)

describe('the table of ASVS', () => {
  it('names a test for every item that applies', () => {
    expect(rows.length).toBeGreaterThan(70)
    expect(rows.filter((row) => !row.includes('.test.ts` › '))).toEqual([])
    expect(proofs.length).toBeGreaterThanOrEqual(rows.length)
  })

  it('names only tests that are there', () => {
    const missing = proofs.filter(
      ({ file, name }) =>
        !existsSync(join(root, file)) || !readFileSync(join(root, file), 'utf8').includes(name),
    )
    expect(missing).toEqual([])
  })

  it('has each item once', () => {
    const items = rows.flatMap((row) => (row.split('|')[1] ?? '').split(',').map((one) => one.trim()))
    const twice = items.filter((one, index) => items.indexOf(one) !== index)
    expect(items.length).toBeGreaterThan(100)
    expect(twice).toEqual([])
  })
})
