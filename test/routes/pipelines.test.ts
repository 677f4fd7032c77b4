import { describe, expect, it } from 'vitest'
import { madeUp, paths, problem } from '#test/support/answers.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { json, pipeline } from '#test/support/pipeline.ts'

const here = await fileWorld()
const owner = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Saved = {
  id: string
  version: number
  name: string
  warnings: { path: string; message: string; line?: number }[]
}
type Whole = {
  id: string
  version: number
  source: string
  format: string
  definition: { name: string; steps: { id: string }[] }
}
type List<T> = { items: T[]; nextCursor?: string }

const yaml = { 'Content-Type': 'application/yaml' }
const text = (name: string, rest = 'steps:\n  - { id: one, sql: select 1 as n, into: ones }\n') =>
  `apiVersion: weir/v1\nkind: Pipeline\nname: ${name}\n${rest}`
const post = (body: string, headers: Record<string, string> = yaml, tenant = acme) =>
  tenant.fetch('/v1/pipelines', { method: 'POST', headers, body })
const put = (id: string, body: string, etag: string | undefined = '*', tenant = acme) =>
  tenant.fetch(`/v1/pipelines/${id}`, {
    method: 'PUT',
    headers: { ...yaml, ...(etag ? { 'If-Match': etag } : {}) },
    body,
  })
const schedulesOf = async (id: string) =>
  (
    await owner.query<{ cron: string; timezone: string; ahead: boolean }>(
      'select cron, timezone, next_fire_at > now() as ahead from schedules where pipeline_id = $1 order by cron',
      [id],
    )
  ).rows

describe('a pipeline', () => {
  it('is stored as it was written, and read with its tag', async () => {
    const source = `# why it is here\n${text('stored', 'description: Ones\nsteps:\n  - { id: one, sql: select 1 as n, into: ones }\n')}`
    const made = await post(source)
    const { id, version, warnings } = await json<Saved>(made, 201)
    expect([version, warnings, made.headers.get('location')]).toEqual([1, [], `/v1/pipelines/${id}`])
    const read = await acme.fetch(`/v1/pipelines/${id}`)
    const whole = await json<Whole>(read, 200)
    expect(whole).toMatchObject({
      id,
      version: 1,
      source,
      format: 'yaml',
      description: 'Ones',
      definition: { name: 'stored' },
    })
    const etag = read.headers.get('etag') ?? ''
    expect(etag).toBe(made.headers.get('etag'))
    expect(
      (await acme.fetch(`/v1/pipelines/${id}`, { headers: { 'If-None-Match': `"x", W/${etag}` } })).status,
    ).toBe(304)
  })

  it('may be JSON, and nothing else than YAML or JSON', async () => {
    const definition = {
      apiVersion: 'weir/v1',
      kind: 'Pipeline',
      name: 'in-json',
      steps: [{ id: 'one', wait: { for: '1s' } }],
    }
    const made = await post(JSON.stringify(definition), { 'Content-Type': 'application/json; charset=utf-8' })
    const { id } = await json<Saved>(made, 201)
    expect((await json<Whole>(await acme.fetch(`/v1/pipelines/${id}`), 200)).format).toBe('json')
    await problem(await post(text('x'), { 'Content-Type': 'text/plain' }), 415)
    await problem(await post(text('x'), { 'Content-Type': '' }), 415)
    await problem(await post(`${text('x')}#${'x'.repeat(1_100_000)}`), 413)
  })

  it('has a name of its own in its tenant until it is deleted', async () => {
    const { id } = await json<Saved>(await post(text('named')), 201)
    expect((await problem(await post(text('named')), 409)).detail).toContain('"named"')
    await json(await post(text('named'), yaml, globex), 201)
    const other = await json<Saved>(await post(text('named-2')), 201)
    await problem(await put(other.id, text('named')), 409)
    expect((await json<Whole>(await acme.fetch(`/v1/pipelines/${other.id}`), 200)).version).toBe(1)
    expect((await acme.fetch(`/v1/pipelines/${id}`, { method: 'DELETE' })).status).toBe(204)
    await json(await post(text('named')), 201)
    await problem(await acme.fetch(`/v1/pipelines/${id}`), 404)
    await problem(await put(id, text('named-3')), 404)
    await problem(await acme.fetch(`/v1/pipelines/${id}`, { method: 'DELETE' }), 404)
    await problem(await acme.fetch('/v1/runs', { method: 'POST', body: { pipelineId: id } }), 404)
  })

  it('gets a new version by each PUT of somebody who saw the current one', async () => {
    const { id } = await json<Saved>(await post(text('changing')), 201)
    await problem(await put(id, text('changing'), ''), 428)
    const second = await put(
      id,
      text('changed', 'steps:\n  - { id: two, sql: select 2 as n, into: twos }\n'),
      '"v1"',
    )
    expect(await json<Saved>(second, 200)).toMatchObject({ id, version: 2, name: 'changed' })
    expect(second.headers.get('etag')).toBe('"v2"')
    await problem(await put(id, text('lost'), '"v1"'), 412)
    const races = await Promise.all([
      put(id, text('one-of-two'), '"v2"'),
      put(id, text('two-of-two'), '"v2"'),
    ])
    expect(races.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412])
    type Version = { version: number; source: string; createdBy: string; createdAt: string }
    const first = await acme.fetch(`/v1/pipelines/${id}/versions?limit=2`)
    const { items, nextCursor } = await json<List<Version>>(first, 200)
    const rest = await json<List<Version>>(
      await acme.fetch(`/v1/pipelines/${id}/versions?limit=2&cursor=${nextCursor}`),
      200,
    )
    expect([...items, ...rest.items].map(({ version }) => version)).toEqual([3, 2, 1])
    expect(rest.items[0]?.source).toBe(text('changing'))
    await problem(
      await acme.fetch(`/v1/pipelines/${id}`, { method: 'DELETE', headers: { 'If-Match': '"v1"' } }),
      412,
    )
  })

  it('is checked as saving would, and not stored', async () => {
    const source = text(
      'checked',
      'parameters:\n  unused: { type: date }\nsteps:\n  - id: read\n    extract: { connection: nowhere, stream: a.csv }\n    into: raw\n',
    )
    const good = await acme.fetch('/v1/pipelines/check', { method: 'POST', headers: yaml, body: source })
    const { warnings } = await json<Saved>(good, 200)
    expect(warnings).toMatchObject([
      { path: 'parameters.unused', line: 5 },
      { path: 'steps[0].extract.connection', line: 8, message: 'there is no connection "nowhere" yet' },
    ])
    const bad = await acme.fetch('/v1/pipelines/check', {
      method: 'POST',
      headers: yaml,
      body: text('checked', 'steps: 1\n'),
    })
    expect(await paths(bad, 422)).toEqual(['steps'])
    const { items } = await json<List<{ name: string }>>(await acme.fetch('/v1/pipelines?limit=500'), 200)
    expect(items.map(({ name }) => name)).not.toContain('checked')
  })

  it('is warned of channels and pipelines that are not there yet, and not of itself', async () => {
    const source = text(
      'names-much',
      `notify: [{ on: [failed], to: nobody }]
triggers: [{ pipeline: nothing }]
steps:
  - { id: itself, wait: { run: names-much, finishedWithin: 1d } }
  - id: each
    map:
      over: [1]
      steps:
        - { id: tell, notify: { to: no-one, message: hi } }
        - { id: start, pipeline: { name: not-there } }
`,
    )
    const good = await acme.fetch('/v1/pipelines/check', { method: 'POST', headers: yaml, body: source })
    const { warnings } = await json<Saved>(good, 200)
    expect(warnings).toMatchObject([
      { path: 'steps[1].map.steps[0].notify.to', message: 'there is no channel "no-one" yet' },
      { path: 'steps[1].map.steps[1].pipeline.name', message: 'there is no pipeline "not-there" yet' },
      { path: 'notify[0].to', line: 4, message: 'there is no channel "nobody" yet' },
      { path: 'triggers[0].pipeline', line: 5, message: 'there is no pipeline "nothing" yet' },
    ])
  })

  it('is made once for one Idempotency-Key', async () => {
    const headers = { ...yaml, 'Idempotency-Key': crypto.randomUUID() }
    const first = await post(text('once'), headers)
    const body = await json<Saved>(first, 201)
    const again = await post(text('once'), headers)
    expect(await json<Saved>(again, 201)).toEqual(body)
    expect([again.headers.get('idempotency-replayed'), again.headers.get('location')]).toEqual([
      'true',
      first.headers.get('location'),
    ])
    await problem(await post(text('twice'), headers), 422)
  })

  it('of another tenant is not there, in the same words as a made-up one', async () => {
    const id = await pipeline(acme, 'steps:\n  - { id: one, wait: { for: 1s } }\n', 'ours')
    for (const which of [id, madeUp(id)]) {
      const refused = [
        await globex.fetch(`/v1/pipelines/${which}`),
        await globex.fetch(`/v1/pipelines/${which}/versions`),
        await put(which, text('theirs'), '*', globex),
        await globex.fetch(`/v1/pipelines/${which}`, { method: 'DELETE' }),
      ]
      for (const answer of refused)
        expect((await problem(answer, 404)).detail).toBe('There is no such pipeline.')
    }
    expect((await acme.fetch(`/v1/pipelines/${id}`)).status).toBe(200)
  })

  it('is listed newest first, without its text, in pages', async () => {
    const tenant = await here.tenant()
    const ids: string[] = []
    for (const name of ['a', 'b', 'c'])
      ids.unshift(await pipeline(tenant, 'steps:\n  - { id: one, wait: { for: 1s } }\n', name))
    const first = await json<List<{ id: string }>>(await tenant.fetch('/v1/pipelines?limit=2'), 200)
    const rest = await json<List<{ id: string }>>(
      await tenant.fetch(`/v1/pipelines?limit=2&cursor=${first.nextCursor}`),
      200,
    )
    expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(ids)
    expect(first.items[0]).not.toHaveProperty('source')
    await problem(await tenant.fetch('/v1/pipelines?name=a'), 400)
  })
})

describe("a pipeline's schedules", () => {
  const scheduled = (name: string, ...crons: string[]) =>
    text(
      name,
      `triggers:\n${crons.map((cron) => `  - { cron: "${cron}", timezone: Europe/Berlin }\n`).join('')}steps:\n  - { id: one, wait: { for: 1s } }\n`,
    )

  it('are stored, replaced with the version, and gone with it', async () => {
    const { id } = await json<Saved>(await post(scheduled('scheduled', '15 6 * * 1-5', '0 * * * *')), 201)
    const berlin = (cron: string) => ({ cron, timezone: 'Europe/Berlin', ahead: true })
    expect(await schedulesOf(id)).toEqual([berlin('0 * * * *'), berlin('15 6 * * 1-5')])
    await json(await put(id, scheduled('scheduled', '30 7 * * *')), 200)
    expect(await schedulesOf(id)).toEqual([berlin('30 7 * * *')])
    await problem(await put(id, scheduled('scheduled', '1 1 1 1 *'), '"v1"'), 412)
    expect(await schedulesOf(id)).toEqual([berlin('30 7 * * *')])
    await acme.fetch(`/v1/pipelines/${id}`, { method: 'DELETE' })
    expect(await schedulesOf(id)).toEqual([])
  })

  it('need a default for every parameter, since they give none', async () => {
    const bare = `parameters:\n  since: { type: date }\n${scheduled('x', '0 * * * *').split('\n').slice(3).join('\n')}`
    const refused = await problem(await post(text('bare', bare)), 422)
    expect(refused.fields).toMatchObject([
      { path: 'parameters.since', line: 5, message: expect.stringContaining('default') },
    ])
  })
})
