import { afterAll, beforeAll, expect, it } from 'vitest'
import { end, json, pipeline, start } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let globex: Tenant

beforeAll(async () => {
  here = await world()
  ;[acme, globex] = [await here.tenant(), await here.tenant()]
})
afterAll(() => here.close())

const adding = (word: string) =>
  `steps:\n  - { id: add, sql: "select '${word}' as word", into: words, write: append }`

async function wordsOf(tenant: Tenant): Promise<string[]> {
  const { items } = await json<{ items: { id: string }[] }>(await tenant.fetch('/v1/datasets'), 200)
  const preview = await tenant.fetch(`/v1/datasets/${items[0]?.id}/preview`)
  const { rows } = await json<{ rows: string[][] }>(preview, 200)
  return rows.map(([word = '']) => word).toSorted((one, other) => one.localeCompare(other))
}

it('what runs append to one dataset at the same time is all there, once, from the first one on', async () => {
  const words = Array.from({ length: 8 }, (_, n) => `w${n}`)
  const runs = await Promise.all(
    words.map(async (word) => start(acme, await pipeline(acme, adding(word), `add-${word}`))),
  )
  const other = await start(globex, await pipeline(globex, adding('theirs'), 'add'))
  for (const id of runs) expect(await end(acme, id)).toMatchObject({ state: 'succeeded' })
  expect(await end(globex, other)).toMatchObject({ state: 'succeeded' })
  expect(await wordsOf(acme)).toEqual(words)
  expect(await wordsOf(globex)).toEqual(['theirs'])
})
