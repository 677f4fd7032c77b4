import { describe, expect, inject, it } from 'vitest'
import { paths, problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { connect, json, pipeline, upload } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Connection = {
  id: string
  name: string
  kind: string
  config: Record<string, unknown>
  hasSecret: boolean
}

const config = { host: 'db.example.com', database: 'sales', user: 'reader' }
const post = (tenant: Tenant, body: unknown) => tenant.fetch('/v1/connections', { method: 'POST', body })
const patch = (tenant: Tenant, id: string, body: unknown, etag: string | undefined = '*') =>
  tenant.fetch(`/v1/connections/${id}`, { method: 'PATCH', body, headers: etag ? { 'If-Match': etag } : {} })
const remove = (tenant: Tenant, id: string, headers: Record<string, string> = {}) =>
  tenant.fetch(`/v1/connections/${id}`, { method: 'DELETE', headers })
const made = async (name: string, more: object = {}): Promise<Connection> =>
  json<Connection>(
    await post(acme, { name, kind: 'postgres', config, secret: { password: 'pw' }, ...more }),
    201,
  )

describe('a connection', () => {
  it('is made, found where it was said to be, and named by its version', async () => {
    const answer = await post(acme, { name: 'made', kind: 'postgres', config, secret: { password: 'pw' } })
    const body = await json<Connection>(answer, 201)
    expect(answer.headers.get('location')).toBe(`/v1/connections/${body.id}`)
    expect(body).toMatchObject({
      name: 'made',
      hasSecret: true,
      config: { ...config, port: 5432, ssl: 'require' },
    })
    const read = await acme.fetch(`/v1/connections/${body.id}`)
    expect(await json(read, 200)).toEqual(body)
    const etag = read.headers.get('etag') ?? ''
    expect(etag).toBe(answer.headers.get('etag'))
    const again = await acme.fetch(`/v1/connections/${body.id}`, { headers: { 'If-None-Match': etag } })
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag])
  })

  it.each([
    [{ name: 'A b', kind: 'files' }, ['name']],
    [{ name: 'x', kind: 'mysql' }, ['kind']],
    [{ name: 'x', kind: 'files', tenantId: 'ten_x', id: 'con_x' }, ['tenantId', 'id']],
    [{ name: 'x', kind: 'files', config: { bucket: 'other' } }, ['config.bucket']],
    [
      { name: 'x', kind: 'postgres', config: { host: 'h' }, secret: { password: 'p' } },
      ['config.database', 'config.user'],
    ],
    [
      { name: 'x', kind: 'postgres', config: { ...config, password: 'p' }, secret: { password: 'p' } },
      ['config.password'],
    ],
    [
      { name: 'x', kind: 'postgres', config: { ...config, port: 70_000 }, secret: { password: 'p' } },
      ['config.port'],
    ],
    [{ name: 'x', kind: 'postgres', config }, ['secret.password']],
  ])('must be described well: %j', async (body, wanted) => {
    expect(await paths(await post(acme, body), 422)).toEqual(wanted)
  })

  it('has a name of its own in its tenant, and in no other', async () => {
    await made('taken')
    const second = await problem(await post(acme, { name: 'taken', kind: 'files' }), 409)
    expect(second.detail).toContain('"taken"')
    const other = await made('not-taken')
    await problem(await patch(acme, other.id, { name: 'taken' }), 409)
    await json(await post(globex, { name: 'taken', kind: 'files' }), 201)
  })

  it('is changed by merging, where it still is what the caller saw', async () => {
    const { id } = await made('merged')
    const first = (await acme.fetch(`/v1/connections/${id}`)).headers.get('etag') ?? ''
    await problem(await patch(acme, id, { name: 'x' }, ''), 428)
    const changed = await patch(acme, id, { config: { database: 'other' } }, first)
    expect((await json<Connection>(changed, 200)).config).toEqual({
      ...config,
      port: 5432,
      ssl: 'require',
      database: 'other',
    })
    expect(changed.headers.get('etag')).not.toBe(first)
    await problem(await patch(acme, id, { config: { database: 'lost' } }, first), 412)
    await problem(
      await patch(acme, id, { config: { database: 'lost' } }, `W/${changed.headers.get('etag')}`),
      412,
    )
    expect(await paths(await patch(acme, id, { config: { database: null } }), 422)).toEqual([
      'config.database',
    ])
    expect(await paths(await patch(acme, id, { kind: 'files' }), 422)).toEqual(['kind'])
    expect(await paths(await patch(acme, id, { secret: null }), 422)).toEqual(['secret.password'])
  })

  it('is changed once by two who saw the same version', async () => {
    const { id } = await made('raced')
    const answers = await Promise.all(
      ['one', 'two'].map((database) => patch(acme, id, { config: { database } }, '"v1"')),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412])
  })

  it('stays, with its name, while pipelines use it', async () => {
    const files = await json<Connection>(await post(acme, { name: 'used', kind: 'files' }), 201)
    const steps =
      'steps:\n  - id: read\n    extract: { connection: used, stream: a.csv }\n    into: raw_used\n'
    const user = await pipeline(acme, steps, 'uses-it')
    expect((await problem(await remove(acme, files.id), 409)).detail).toContain('"uses-it"')
    expect((await problem(await patch(acme, files.id, { name: 'renamed' }), 409)).detail).toContain(
      '"uses-it"',
    )
    await json(await patch(acme, files.id, { name: 'used' }), 200)
    expect((await acme.fetch(`/v1/pipelines/${user}`, { method: 'DELETE' })).status).toBe(204)
    expect((await remove(acme, files.id)).status).toBe(204)
    await problem(await remove(acme, files.id), 404)
  })

  it('stays while it holds files', async () => {
    const id = await connect(acme, 'files', 'full')
    await upload(acme, id, 'a.csv', 'a\n1\n')
    expect((await problem(await remove(acme, id), 409)).detail).toContain('files')
    expect((await acme.fetch(`/v1/connections/${id}/files/a.csv`, { method: 'DELETE' })).status).toBe(204)
    expect((await remove(acme, id)).status).toBe(204)
  })

  it('is deleted only in the version that was said, if one was', async () => {
    const { id } = await made('versioned')
    await json(await patch(acme, id, { config: { database: 'other' } }), 200)
    await problem(await remove(acme, id, { 'If-Match': '"v1"' }), 412)
    expect((await remove(acme, id, { 'If-Match': '"v2"' })).status).toBe(204)
  })
})

describe('the list of connections', () => {
  it('comes in pages that link to the next, with cursors that are good nowhere else', async () => {
    const tenant = await here.tenant()
    const ids: string[] = []
    for (const name of ['a', 'b', 'c']) ids.push(await connect(tenant, 'files', name))
    type List = { items: Connection[]; nextCursor?: string }
    const first = await tenant.fetch('/v1/connections?limit=2')
    const { items, nextCursor = '' } = await json<List>(first, 200)
    expect(items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    expect(first.headers.get('link')).toBe(`</v1/connections?limit=2&cursor=${nextCursor}>; rel="next"`)
    const rest = await json<List>(await tenant.fetch(`/v1/connections?limit=2&cursor=${nextCursor}`), 200)
    expect(rest.items.map(({ id }) => id)).toEqual(ids.slice(2))
    expect(rest).not.toHaveProperty('nextCursor')
    for (const [who, path] of [
      [globex, `/v1/connections?cursor=${nextCursor}`],
      [tenant, `/v1/pipelines?cursor=${nextCursor}`],
      [tenant, `/v1/connections?cursor=x${nextCursor}`],
    ] as const) {
      expect(await paths(await who.fetch(path), 400)).toEqual(['cursor'])
    }
  })

  it.each(['limit=501', 'limit=0', 'limit=x', 'name=a', 'id=eq.5'])('refuses ?%s', async (query) => {
    expect((await problem(await acme.fetch(`/v1/connections?${query}`), 400)).code).toBe('malformed')
  })
})

describe('where a stored secret goes', () => {
  it.each([{ host: 'attacker.example.com' }, { port: 6432 }, { user: 'other' }, { ssl: 'disable' as const }])(
    'is not changed to %j by somebody who does not know it',
    async (change) => {
      const { id } = await made(`aim-${Object.keys(change)[0]}`)
      expect(await paths(await patch(acme, id, { config: change }), 422)).toEqual(['secret'])
      const kept = await json<Connection>(await acme.fetch(`/v1/connections/${id}`), 200)
      expect(kept.config).toEqual({ ...config, port: 5432, ssl: 'require' })
      const known = await patch(acme, id, { config: change, secret: { password: 'pw2' } })
      expect((await json<Connection>(known, 200)).config).toMatchObject(change)
    },
  )

  it('may be said again unchanged', async () => {
    const { host, port } = inject('warehouse')
    const id = await connect(acme, 'postgres', 'same-place')
    const same = await json<Connection>(await patch(acme, id, { config: { host, port } }), 200)
    expect(same.config).toMatchObject({ host, port })
  })
})
