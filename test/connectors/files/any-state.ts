import { expect } from 'vitest'
import { memoryStorage } from './memory-storage.ts'
import { readAll } from './read-all.ts'

const lines = 130_000

export function manyLines(): string {
  const line = (i: number): string =>
    `${i},"text ${i}${i % 97 === 0 ? '\n"" é' : ''}",${(i / 8).toFixed(3)}\n`
  return `id,text,number\n${Array.from({ length: lines }, (_, i) => line(i)).join('')}`
}

/** Reads a file of many lines, and again from each state that it passed: what is left is there to the row. Returns how many states. */
export async function goOnFromAnyState(name: string, bytes: Uint8Array): Promise<number> {
  const whole = await readAll(memoryStorage(bytes), { name })
  expect(whole.rows).toHaveLength(lines)
  for (const [i, state] of whole.states.entries()) {
    const rest = await readAll(memoryStorage(bytes), { name, state })
    expect(rest.rows).toEqual(whole.rows.slice(whole.rowsBefore[i]))
  }
  return whole.states.length
}
