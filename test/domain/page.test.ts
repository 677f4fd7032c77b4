import { describe, expect, it } from 'vitest'
import { decodeCursor, encodeCursor, toPage } from '#src/domain/page.ts'

const keyOf = (seed: number) =>
  crypto.subtle.importKey('raw', new Uint8Array(32).fill(seed), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ])
const binding = 'ten_a\n/v1/runs\nstate=failed'

describe('pages', () => {
  it('have a next position only when there is more', () => {
    const rows = ['a', 'b', 'c']
    expect(toPage(rows, 2, (row) => [row])).toEqual({ items: ['a', 'b'], next: ['b'] })
    expect(toPage(rows, 3, (row) => [row])).toEqual({ items: rows })
    expect(toPage([], 3, (row) => [row])).toEqual({ items: [] })
  })

  it('start again where a cursor says', async () => {
    const key = await keyOf(1)
    const position = ['2026-11-21T00:00:00.000Z', 'run_ü"\\']
    expect(await decodeCursor(key, binding, await encodeCursor(key, binding, position))).toEqual(position)
  })

  it("refuse a cursor of another tenant's list, another filter or another key", async () => {
    const key = await keyOf(1)
    const cursor = await encodeCursor(key, binding, ['run_1'])
    const others = [binding.replace('ten_a', 'ten_b'), binding.replace('failed', 'queued')]
    for (const other of others) {
      await expect(decodeCursor(key, other, cursor)).rejects.toMatchObject({ code: 'malformed' })
    }
    await expect(decodeCursor(await keyOf(2), binding, cursor)).rejects.toMatchObject({ code: 'malformed' })
  })

  it('refuse a cursor that was changed anywhere', async () => {
    const key = await keyOf(1)
    const cursor = await encodeCursor(key, binding, ['run_1'])
    for (let i = 0; i < cursor.length - 1; i++) {
      const changed = cursor.slice(0, i) + (cursor[i] === 'A' ? 'B' : 'A') + cursor.slice(i + 1)
      await expect(decodeCursor(key, binding, changed)).rejects.toMatchObject({ code: 'malformed' })
    }
    for (const text of ['', '.', 'a.b.c', cursor + '.x', '💥']) {
      await expect(decodeCursor(key, binding, text)).rejects.toMatchObject({ code: 'malformed' })
    }
  })
})
