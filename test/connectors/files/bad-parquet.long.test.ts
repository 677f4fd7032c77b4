import { expect, it } from 'vitest'
import { breakBytes, files } from './wrong-bytes.ts'

it.each(files)('any bytes wrong never do worse than fail: 100 of %s', async (file) => {
  const escaped: unknown[] = []
  const onEscape = (reason: unknown): void => void escaped.push(reason)
  process.on('unhandledRejection', onEscape)
  await breakBytes(file, 100)
  process.off('unhandledRejection', onEscape)
  expect(escaped).toEqual([])
})
