import { gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { goOnFromAnyState, manyLines } from './any-state.ts'

it.each([
  ['data.csv.gz', gzipSync],
  ['data.csv.zst', zstdCompressSync],
] as const)('%s goes on from any state with exactly the rows that were left', async (name, pack) => {
  expect(await goOnFromAnyState(name, new Uint8Array(pack(manyLines())))).toBeGreaterThan(2)
})
