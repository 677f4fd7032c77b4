import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { paths, problem } from '#test/support/answers.ts'
import { json, pipeline, start } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let one: string
let two: string
beforeAll(async () => {
  // Nothing is delivered, so every run stays queued.
  here = await world((services) => ({
    ...services,
    neverHere: true,
    send: () => Promise.resolve(),
  }))
  acme = await here.tenant()
  one = await pipeline(acme, 'steps:\n  - { id: one, wait: { for: 1h } }\n', 'one')
  two = await pipeline(acme, 'steps:\n  - { id: one, wait: { for: 1h } }\n', 'two')
})
afterAll(() => here.close())

type List = { items: { id: string; pipelineName: string; state: string }[]; nextCursor?: string }
const list = async (query: string, tenant = acme): Promise<List> =>
  json<List>(await tenant.fetch(`/v1/runs${query}`), 200)

describe('the list of runs', () => {
  it('gives every run that was there exactly once, while others are started and cancelled', async () => {
    const before: string[] = []
    for (let i = 0; i < 7; i++) before.unshift(await start(acme, i % 2 ? one : two))
    const seen: string[] = []
    let query = '?limit=2'
    for (;;) {
      const answer = await acme.fetch(`/v1/runs${query}`)
      const { items, nextCursor } = await json<List>(answer, 200)
      seen.push(...items.map(({ id }) => id))
      await start(acme, one)
      await json(await acme.fetch(`/v1/runs/${seen.at(-1)}/cancel`, { method: 'POST' }), 202)
      if (nextCursor === undefined) break
      const [, next = ''] = /^<\/v1\/runs(\?[^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '') ?? []
      expect(next).toBe(`?limit=2&cursor=${nextCursor}`)
      query = next
    }
    expect(seen).toEqual(before)
  })

  it('is narrowed by pipeline and state, and its cursors by both', async () => {
    const tenant = await here.tenant()
    const other = await pipeline(tenant, 'steps:\n  - { id: one, wait: { for: 1h } }\n', 'other')
    const mine = await pipeline(tenant, 'steps:\n  - { id: one, wait: { for: 1h } }\n', 'mine')
    const runs = [
      await start(tenant, mine),
      await start(tenant, other),
      await start(tenant, mine),
      await start(tenant, mine),
    ]
    await tenant.fetch(`/v1/runs/${runs[3]}/cancel`, { method: 'POST' })
    const ids = async (query: string) => (await list(query, tenant)).items.map(({ id }) => runs.indexOf(id))
    expect(await ids('')).toEqual([3, 2, 1, 0])
    expect(await ids(`?pipelineId=${mine}`)).toEqual([3, 2, 0])
    expect(await ids('?state=cancelled')).toEqual([3])
    expect(await ids(`?pipelineId=${mine}&state=queued`)).toEqual([2, 0])
    const { nextCursor } = await list(`?pipelineId=${mine}&state=queued&limit=1`, tenant)
    expect(await ids(`?state=queued&pipelineId=${mine}&limit=5&cursor=${nextCursor}`)).toEqual([0])
    for (const query of ['', 'state=queued&', `pipelineId=${other}&state=queued&`]) {
      expect(await paths(await tenant.fetch(`/v1/runs?${query}cursor=${nextCursor}`), 400)).toEqual([
        'cursor',
      ])
    }
    const filters = `pipelineId=${mine}&state=queued&`
    expect(await paths(await acme.fetch(`/v1/runs?${filters}cursor=${nextCursor}`), 400)).toEqual(['cursor'])
  })

  it("shows another tenant nothing, even of a pipeline's id", async () => {
    const globex = await here.tenant()
    await start(acme, one)
    expect(await list('', globex)).toEqual({ items: [] })
    expect(await list(`?pipelineId=${one}`, globex)).toEqual({ items: [] })
  })

  it.each([
    'limit=501',
    'limit=0',
    'limit=2.5',
    'limit=',
    'state=done',
    'pipelineId=x',
    'pipeline=x',
    'order=id',
    'cursor=x',
  ])('refuses ?%s', async (query) => {
    expect((await problem(await acme.fetch(`/v1/runs?${query}`), 400)).code).toBe('malformed')
  })

  it('costs one call of Redis and one of the database', async () => {
    await start(acme, one)
    await list('')
    const { UPSTASH_REDIS_REST_URL: redis, NEON_GATEWAY: gateway } = inject('env')
    const spy = vi.spyOn(globalThis, 'fetch')
    try {
      for (const credential of [acme.apiKey, acme.accessToken]) {
        spy.mockClear()
        const answer = await acme.fetch('/v1/runs?limit=10', {
          headers: { Authorization: `Bearer ${credential}` },
        })
        expect((await json<List>(answer, 200)).items.length).toBeGreaterThan(0)
        const hosts = spy.mock.calls.map(([to]) => new URL(to instanceof Request ? to.url : to).host)
        expect(hosts.toSorted()).toEqual([new URL(redis ?? '').host, gateway ?? ''].toSorted())
      }
    } finally {
      spy.mockRestore()
    }
  })
})
