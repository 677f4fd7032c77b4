import { beforeAll, describe, expect, it } from 'vitest'
import { bodyOf, entrance, json } from './entrance.ts'

type Entrance = Awaited<ReturnType<typeof entrance>>
let door: Entrance
let acme: Awaited<ReturnType<Entrance['owner']>>

beforeAll(async () => {
  door = await entrance()
  acme = await door.owner()
})

const read = (tag?: string) =>
  acme.fetch('/v1/things/one', tag === undefined ? {} : { headers: { 'if-none-match': tag } })
const change = (tag?: string) => {
  const headers: Record<string, string> = tag === undefined ? {} : { 'if-match': tag }
  return acme.fetch('/v1/things/one', { ...json({ name: 'new' }, headers), method: 'PUT' })
}

describe('a resource with versions', () => {
  it('has a strong tag that answers 304 to whoever holds it', async () => {
    const tag = (await read()).headers.get('etag') ?? ''
    expect(tag).toMatch(/^"v\d+"$/)
    for (const held of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      const answer = await read(held)
      expect([held, answer.status, answer.headers.get('etag')]).toEqual([held, 304, tag])
      expect(await answer.text()).toBe('')
    }
    for (const other of ['"other"', tag.replaceAll('"', ''), '']) {
      expect([other, (await read(other)).status]).toEqual([other, 200])
    }
  })

  it('changes only for those who know what they change', async () => {
    const missing = await change()
    expect([missing.status, (await bodyOf(missing)).code]).toEqual([428, 'precondition_required'])
    const tag = (await read()).headers.get('etag') ?? ''
    const changed = await change(tag)
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).not.toBe(tag)
    const late = await change(tag)
    expect([late.status, (await bodyOf(late)).code]).toEqual([412, 'precondition_failed'])
  })

  it('compares strongly, takes lists, and * for whatever is there', async () => {
    const now = async () => (await read()).headers.get('etag') ?? ''
    for (const never of [`W/${await now()}`, '"1"', 'v3', '"v3; drop"', '""']) {
      expect([never, (await change(never)).status]).toEqual([never, 412])
    }
    expect((await change(`"v999", ${await now()}`)).status).toBe(200)
    expect((await change('*')).status).toBe(200)
  })
})
