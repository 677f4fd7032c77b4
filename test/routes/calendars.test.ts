import { describe, expect, it } from 'vitest'
import { keyFor, paths, problem } from '#test/support/answers.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { json, pipeline } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const owner = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Calendar = { id: string; name: string; weekdays: number[]; include: string[]; exclude: string[] }
const make = (tenant: Tenant, body: object) => tenant.fetch('/v1/calendars', { method: 'POST', body })
const change = (tenant: Tenant, id: string, body: object, etag: string) =>
  tenant.fetch(`/v1/calendars/${id}`, { method: 'PATCH', body, headers: { 'If-Match': etag } })
const firesOn = async (pipelineId: string) => {
  const { rows } = await owner.query<{ on: string | null }>(
    "select (next_fire_at at time zone 'Europe/Berlin')::date::text as on from schedules where pipeline_id = $1",
    [pipelineId],
  )
  return rows[0]?.on
}
const scheduled = (tenant: Tenant, calendar: string) =>
  pipeline(
    tenant,
    `triggers: [{ cron: "0 6 * * *", timezone: Europe/Berlin, calendar: ${calendar} }]\nsteps: [{ id: one, wait: { for: 1s } }]\n`,
  )
const dayFromNow = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)

describe('a calendar', () => {
  it('is made, read, changed by who saw it, listed and deleted', async () => {
    const made = await make(acme, { name: 'de-holidays', exclude: ['12-25', '2026-04-03'] })
    const calendar = await json<Calendar>(made, 201)
    expect(calendar).toMatchObject({
      weekdays: [1, 2, 3, 4, 5],
      include: [],
      exclude: ['12-25', '2026-04-03'],
    })
    await problem(await make(acme, { name: 'de-holidays' }), 409)
    await json(await make(globex, { name: 'de-holidays' }), 201)
    const first = made.headers.get('etag') ?? ''
    const changed = await change(acme, calendar.id, { weekdays: [7, 1, 1] }, first)
    expect(await json<Calendar>(changed, 200)).toMatchObject({
      weekdays: [1, 7],
      exclude: ['12-25', '2026-04-03'],
    })
    await problem(await change(acme, calendar.id, { weekdays: [] }, first), 412)
    await problem(await acme.fetch(`/v1/calendars/${calendar.id}`, { method: 'PATCH', body: {} }), 428)
    const listed = await json<{ items: Calendar[] }>(await acme.fetch('/v1/calendars'), 200)
    expect(listed.items.map(({ name }) => name)).toEqual(['de-holidays'])
    expect((await acme.fetch(`/v1/calendars/${calendar.id}`, { method: 'DELETE' })).status).toBe(204)
    await problem(await acme.fetch(`/v1/calendars/${calendar.id}`), 404)
  })

  it('names what is wrong with it', async () => {
    expect(
      await paths(await make(acme, { name: 'No', weekdays: [0], exclude: ['24.12.'], on: 1 }), 422),
    ).toEqual(expect.arrayContaining(['name', 'weekdays.0', 'exclude.0', 'on']))
  })

  it("is out of another tenant's reach, and needs the right to change pipelines", async () => {
    const made = await json<Calendar>(await make(acme, { name: 'mine' }), 201)
    await problem(await globex.fetch(`/v1/calendars/${made.id}`), 404)
    await problem(await change(globex, made.id, { weekdays: [] }, '*'), 404)
    await problem(await globex.fetch(`/v1/calendars/${made.id}`, { method: 'DELETE' }), 404)
    const few = await keyFor(acme, ['pipelines:read'])
    await problem(await few('/v1/calendars', { method: 'POST', body: { name: 'x' } }), 403)
    expect((await few(`/v1/calendars/${made.id}`)).status).toBe(200)
  })

  it('says when its schedules fire, also after it has changed, and cannot go while they need it', async () => {
    const day = dayFromNow(9)
    const made = await make(acme, { name: 'one-day', weekdays: [], include: [day] })
    const { id } = await json<Calendar>(made, 201)
    const pipelineId = await scheduled(acme, 'one-day')
    expect(await firesOn(pipelineId)).toBe(day)
    await json(await change(acme, id, { include: [dayFromNow(5), day] }, '*'), 200)
    expect(await firesOn(pipelineId)).toBe(dayFromNow(5))
    await json(await change(acme, id, { include: [] }, '*'), 200)
    expect(await firesOn(pipelineId)).toBeNull()
    await json(await change(acme, id, { include: [day] }, '*'), 200)
    expect(await firesOn(pipelineId)).toBe(day)
    await problem(await acme.fetch(`/v1/calendars/${id}`, { method: 'DELETE' }), 409)
    await acme.fetch(`/v1/pipelines/${pipelineId}`, { method: 'DELETE' })
    expect((await acme.fetch(`/v1/calendars/${id}`, { method: 'DELETE' })).status).toBe(204)
  })

  it('must be there when a schedule names it: one of another tenant is not', async () => {
    await json(await make(globex, { name: 'theirs' }), 201)
    const source = `apiVersion: weir/v1\nkind: Pipeline\nname: nowhere\ntriggers: [{ cron: "0 6 * * *", calendar: theirs }]\nsteps: [{ id: one, wait: { for: 1s } }]\n`
    const refused = await acme.fetch('/v1/pipelines', {
      method: 'POST',
      headers: { 'Content-Type': 'application/yaml' },
      body: source,
    })
    expect((await problem(refused, 422)).fields).toMatchObject([
      { path: 'triggers[0].calendar', message: 'there is no calendar "theirs"', line: 4 },
    ])
  })
})
