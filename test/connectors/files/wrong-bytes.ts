import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { StepFailure } from '#src/domain/failure.ts'
import { readAll } from './read-all.ts'

export const files = ['v1-snappy', 'v2-zstd', 'v1-gzip-plain', 'v2-brotli', 'v1-lz4-int96', 'v2-none-delta']

export const fixture = async (file: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(new URL(`fixtures/${file}`, import.meta.url)))

/** What a file holds of memory and time while it is read or refused. */
export async function costOf(work: () => Promise<unknown>): Promise<{ bytes: number; ms: number }> {
  const before = process.memoryUsage().arrayBuffers
  const begun = performance.now()
  await work()
  return { bytes: process.memoryUsage().arrayBuffers - before, ms: performance.now() - begun }
}

/** Reads a Parquet file so many times, each time with other bytes of it wrong: it is read or refused in words, at a small cost. */
export async function breakBytes(file: string, rounds: number): Promise<void> {
  const whole = await fixture(`${file}.parquet`)
  const random = numbersFrom(file.length * 7919 + file.charCodeAt(3))
  let failed = 0
  for (let round = 0; round < rounds; round++) {
    const bytes = whole.slice()
    // Half of them in the footer, where the sizes are.
    const from = round % 2 ? bytes.length - 9000 : 4
    for (let i = 0; i < 1 + (round % 4); i++)
      bytes[from + (random() % (bytes.length - 8 - from))] = random() & 0xff
    const cost = await costOf(async () => {
      try {
        await readAll(bytes, { name: 'bad.parquet' })
      } catch (error) {
        expect(error).toBeInstanceOf(StepFailure)
        failed++
      }
    })
    expect(cost.ms).toBeLessThan(5000)
    expect(cost.bytes).toBeLessThan(160 * 1024 * 1024)
  }
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(failed).toBeGreaterThan(rounds / 5)
}

/** The same numbers in every run (xorshift). */
function numbersFrom(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>>= 0)
  }
}
