import { describe, expect, it } from 'vitest'
import { keyFor, paths, problem } from '#test/support/answers.ts'
import { json, pipeline, start } from '#test/support/pipeline.ts'
import { fileWorld } from '#test/support/per-file.ts'
import type { Tenant } from '#test/support/tenant.ts'
import { until } from '#test/support/until.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Approval = { runId: string; step: string; since: string; until?: string }
type Page = { items: Approval[]; nextCursor?: string }
const approvals = async (tenant: Tenant, query = '') =>
  json<Page>(await tenant.fetch(`/v1/approvals${query}`), 200)
const waiting = (tenant: Tenant, count: number) =>
  until(`${count} approvals to wait`, async () => {
    const found = await approvals(tenant)
    return found.items.length === count && found.items
  })

const one = `steps:
  - { id: other, wait: { for: 1h } }
  - { id: hold, wait: { approval: { message: "Publish it?", roles: [operator] }, within: 1h } }
`
const each = `steps:
  - id: each
    map:
      over: [a, b]
      as: letter
      atOnce: 2
      steps:
        - id: parts
          map: { over: [1], as: number, steps: [{ id: ok, wait: { approval: { message: "\${letter}\${number}?" } } }] }
`

describe('what waits for approval', () => {
  it('is listed over all runs, the oldest first, a page at a time, until it is decided', async () => {
    const pipelineId = await pipeline(acme, one, 'publish')
    const first = await start(acme, pipelineId)
    await waiting(acme, 1)
    const second = await start(acme, await pipeline(acme, each))
    const items = await waiting(acme, 3)
    const { since = '', until: ends = '' } = items[0] ?? {}
    expect(Date.parse(ends) - Date.parse(since)).toBeGreaterThan(3_590_000)
    expect(items[0]).toEqual({
      since,
      until: ends,
      runId: first,
      pipelineId,
      pipelineName: 'publish',
      step: 'hold',
      message: 'Publish it?',
      roles: ['operator'],
    })
    expect(items.slice(1)).toMatchObject([
      { runId: second, step: 'each.parts', outer: 1, item: 1, message: 'a1?', roles: ['owner', 'admin'] },
      { runId: second, step: 'each.parts', outer: 2, item: 1, message: 'b1?' },
    ])
    expect(items[1]).not.toHaveProperty('until')

    const { nextCursor, items: page } = await approvals(acme, '?limit=2')
    expect(page).toEqual(items.slice(0, 2))
    expect(await approvals(acme, `?limit=2&cursor=${nextCursor}`)).toEqual({ items: items.slice(2) })

    const decided = { comment: 'well', outer: 2, item: 1 }
    await json(
      await acme.fetch(`/v1/runs/${second}/steps/each.parts/approve`, { method: 'POST', body: decided }),
      200,
    )
    expect((await approvals(acme)).items).toEqual(items.slice(0, 2))
    await json(await acme.fetch(`/v1/runs/${first}/cancel`, { method: 'POST' }), 202)
    await waiting(acme, 1)
  })

  it('is the tenant’s own, and needs the permission to read runs', async () => {
    expect((await approvals(acme)).items.length).toBeGreaterThan(0)
    expect(await approvals(globex)).toEqual({ items: [] })
    const [reader, writer] = [await keyFor(acme, ['runs:read']), await keyFor(acme, ['runs:write'])]
    expect((await reader('/v1/approvals')).status).toBe(200)
    await problem(await writer('/v1/approvals'), 403)
    expect(await paths(await acme.fetch('/v1/approvals?state=open'), 400)).toEqual(['state'])
  })
})
