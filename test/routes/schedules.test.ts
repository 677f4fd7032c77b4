import { describe, expect, it } from 'vitest'
import { keyFor } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { json, pipeline } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type List = { items: Record<string, unknown>[]; nextCursor?: string }
const listOf = async (tenant: Tenant, query = '') =>
  json<List>(await tenant.fetch(`/v1/schedules${query}`), 200)

const yearly = (month: number, rest = '') => `{ cron: "0 6 1 ${month} *", timezone: Europe/Berlin${rest} }`
const waiting = (...triggers: string[]) =>
  `triggers: [${triggers.join(', ')}]\nsteps: [{ id: one, wait: { for: 0s } }]`

describe('the schedules of a tenant', () => {
  it('are listed with the time when each fires next, by pipeline and in pages', async () => {
    const both = await pipeline(acme, waiting(yearly(2, ', overlap: skip'), yearly(8)), 'twice-a-year')
    await pipeline(acme, waiting(yearly(12)))
    await pipeline(globex, waiting(yearly(3)))

    expect((await listOf(acme)).items).toHaveLength(3)
    const { items } = await listOf(acme, `?pipelineId=${both}`)
    expect(items).toHaveLength(2)
    expect(items.find(({ cron }) => cron === '0 6 1 2 *')).toMatchObject({
      pipelineId: both,
      pipelineName: 'twice-a-year',
      timezone: 'Europe/Berlin',
      overlap: 'skip',
      nextFireAt: expect.stringMatching(/^20\d\d-02-01T05:00:00\.000Z$/) as unknown,
      paused: false,
    })
    const first = await listOf(acme, '?limit=2')
    const rest = await listOf(acme, `?limit=2&cursor=${first.nextCursor}`)
    expect([...first.items, ...rest.items]).toHaveLength(3)
    expect(rest.nextCursor).toBeUndefined()
  })

  it('say when their pipeline is paused, and are not shown without the right to', async () => {
    const id = await pipeline(acme, waiting(yearly(5)))
    await acme.fetch(`/v1/pipelines/${id}/pause`, { method: 'POST', body: {} })
    expect((await listOf(acme, `?pipelineId=${id}`)).items).toMatchObject([{ paused: true }])
    const blind = await keyFor(acme, ['runs:read'])
    expect((await blind('/v1/schedules')).status).toBe(403)
  })
})
