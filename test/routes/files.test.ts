import { describe, expect, it } from 'vitest'
import { StepFailure } from '#src/domain/failure.ts'
import { paths, problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { connect, json, upload } from '#test/support/pipeline.ts'
import { world } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const files = await connect(acme, 'files')

type Upload = { upload: { url: string; method: string; headers: Record<string, string>; expiresAt: string } }
const ask = (body: unknown, tenant = acme) =>
  tenant.fetch(`/v1/connections/${files}/files`, { method: 'POST', body })

describe('a file', () => {
  it('is uploaded past the Worker, found, listed and deleted', async () => {
    const name = 'Flüge 2024 #1?.csv'
    const asked = await ask({ name, bytes: 4, contentType: 'text/csv' })
    const { upload: to } = await json<Upload>(asked, 201)
    expect(Date.parse(to.expiresAt)).toBeGreaterThan(Date.now())
    const put = await fetch(to.url, { method: to.method, headers: to.headers, body: 'a\n1\n' })
    expect(put.status).toBe(200)
    const place = asked.headers.get('location') ?? ''
    const found = await acme.fetch(place)
    expect(await json(found, 200)).toEqual({ name, bytes: 4 })
    const tag = found.headers.get('etag') ?? ''
    expect((await acme.fetch(place, { headers: { 'If-None-Match': tag } })).status).toBe(304)
    const listed = await json<{ items: object[] }>(await acme.fetch(`/v1/connections/${files}/files`), 200)
    expect(listed.items).toEqual([{ name, bytes: 4, changedAt: expect.stringMatching(/^\d{4}-.*Z$/) }])
    const statuses = []
    for (let i = 0; i < 2; i++) statuses.push((await acme.fetch(place, { method: 'DELETE' })).status)
    expect(statuses).toEqual([204, 404])
    await problem(await acme.fetch(place), 404)
  })

  it.each([
    ['../x.csv'],
    ['..'],
    ['.'],
    ['a/../../b'],
    ['a/b.csv'],
    ['a\\b'],
    ['a\u0000b'],
    ['a\r\nb'],
    ['\ud800'],
    ['x'.repeat(5_000)],
    ['ü'.repeat(200)],
    [''],
  ])('cannot be called %j', async (name) => {
    expect(await paths(await ask({ name, bytes: 1 }), 422)).toEqual(['name'])
    const encoded = name.isWellFormed() ? encodeURIComponent(name) : '%ED%A0%80'
    const answer = await acme.fetch(`/v1/connections/${files}/files/${encoded.replaceAll('.', '%2E')}`, {
      method: 'DELETE',
    })
    expect([404, 405]).toContain(answer.status)
  })

  it.each([
    [{ name: 'a', bytes: -1 }, 422],
    [{ name: 'a', bytes: 1.5 }, 422],
    [{ name: 'a', bytes: '1' }, 422],
    [{ name: 'a' }, 422],
    [{ name: 'a', bytes: 1, contentType: 'text/csv\r\nx-evil: 1' }, 422],
    [{ name: 'a', bytes: 1, key: 'tenants/other/a' }, 422],
    [{ name: 'a', bytes: 6 * 1024 ** 3 }, 413],
  ])('is not asked for as %j', async (body, status) => {
    expect((await problem(await ask(body), status)).code).toBe(status === 413 ? 'too_large' : 'invalid')
  })

  it('has exactly the length that was signed, under the name that was signed', async () => {
    const { upload: to } = await json<Upload>(await ask({ name: 'exact.csv', bytes: 4 }), 201)
    for (const body of ['a\n1', 'a\n1\n2\n', '']) {
      const put = await fetch(to.url, {
        method: 'PUT',
        headers: { ...to.headers, 'content-length': String(body.length) },
        body,
      })
      expect([body, put.status]).toEqual([body, 403])
    }
    const elsewhere = await fetch(to.url.replace('exact.csv', 'other.csv'), {
      method: 'PUT',
      headers: to.headers,
      body: 'a\n1\n',
    })
    expect(elsewhere.status).toBe(403)
    const listed = await acme.fetch(`/v1/connections/${files}/files`)
    expect(await listed.text()).not.toContain('.csv')
  })

  it("of another tenant's connection is not there, to read, write or delete", async () => {
    await upload(acme, files, 'mine.csv', 'a\n1\n')
    const theirs = await connect(globex, 'files')
    const at = `/v1/connections/${files}/files`
    for (const [path, init] of [
      [at, {}],
      [at, { method: 'POST', body: { name: 'mine.csv', bytes: 1 } }],
      [`${at}/mine.csv`, {}],
      [`${at}/mine.csv`, { method: 'DELETE' }],
      [
        `/v1/connections/${theirs}/files/${encodeURIComponent(`../../../${acme.id}/connections/${files}/mine.csv`)}`,
        {},
      ],
    ] as const) {
      await problem(await globex.fetch(path, init), 404)
    }
    expect(await json(await acme.fetch(`${at}/mine.csv`), 200)).toEqual({ name: 'mine.csv', bytes: 4 })
    expect((await acme.fetch(`${at}/mine.csv`, { method: 'DELETE' })).status).toBe(204)
  })

  it('belongs to a connection of files', async () => {
    const database = await connect(acme, 'postgres')
    const answer = await acme.fetch(`/v1/connections/${database}/files`, {
      method: 'POST',
      body: { name: 'a', bytes: 1 },
    })
    expect((await problem(answer, 409)).detail).toContain('holds no files')
  })
})

describe('the list of files', () => {
  it('comes in pages, with cursors that are good for this connection alone', async () => {
    const tenant = await here.tenant()
    const [one, two] = [await connect(tenant, 'files', 'one'), await connect(tenant, 'files', 'two')]
    for (const name of ['a', 'b', 'c']) await upload(tenant, one, name, name)
    type List = { items: { name: string }[]; nextCursor?: string }
    const first = await json<List>(await tenant.fetch(`/v1/connections/${one}/files?limit=2`), 200)
    expect(first.items.map(({ name }) => name)).toEqual(['a', 'b'])
    const next = `cursor=${first.nextCursor}`
    const rest = await json<List>(await tenant.fetch(`/v1/connections/${one}/files?limit=2&${next}`), 200)
    expect(rest).toEqual({ items: [expect.objectContaining({ name: 'c' })] })
    expect(await paths(await tenant.fetch(`/v1/connections/${two}/files?${next}`), 400)).toEqual(['cursor'])
    await problem(await tenant.fetch(`/v1/connections/${one}/files?limit=501`), 400)
  })

  it('says that the object storage is away when it is', async () => {
    const gone = new StepFailure('storage_unavailable', 'The object storage cannot be reached.', {
      retryable: true,
    })
    const away = await world((services) => ({
      ...services,
      storage: { ...services.storage, head: () => Promise.reject(gone) },
    }))
    const tenant = await away.tenant()
    const id = await connect(tenant, 'files')
    const answer = await tenant.fetch(`/v1/connections/${id}/files/a.csv`)
    expect((await problem(answer, 503)).detail).toBe('The object storage cannot be reached.')
    expect(answer.headers.get('retry-after')).toBe('5')
    await away.close()
  })
})
