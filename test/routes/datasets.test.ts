import { describe, expect, it } from 'vitest'
import { madeUp, paths, problem } from '#test/support/answers.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { connect, finished, json, pipeline, start, upload } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const owner = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Dataset = {
  id: string
  name: string
  rows?: number
  versionId?: string
  columns?: { name: string; type: string }[]
}
type Whole = Dataset & {
  versions: { id: string; state: string; rows: number; runId: string; step: string }[]
}
type Preview = { columns: { name: string; type: string }[]; rows: (string | null)[][] }

async function dataset(tenant: Tenant, name: string): Promise<Dataset> {
  const { items } = await json<{ items: Dataset[] }>(await tenant.fetch('/v1/datasets?limit=500'), 200)
  const found = items.find((item) => item.name === name)
  if (!found) throw new Error(`no dataset ${name}`)
  return found
}

/** One row of every type that a column can have, and one of nulls, read from a database. */
const every = `select true as yes, 7::int2 as small, -2147483648 as whole, 9223372036854775807 as big, 0.1::float8 as double,
  12345678901234567890.123456789 as exact, 'a"b,{c}\\ü'::text as words, '${'x'.repeat(600)}'::text as long, date '2024-02-29' as day,
  timestamp '2024-02-29 12:00:00.123456' as local, timestamptz '2024-02-29 12:00:00.5+02' as moment,
  '{"a": [1, null]}'::jsonb as doc
  union all select null, null, null, null, null, null, null, null, null, null, null, null`

describe('a dataset', () => {
  it('shows its first rows, of every type that a column can have', async () => {
    await finished(
      acme,
      await pipeline(acme, `steps:\n  - { id: all_types, sql: ${JSON.stringify(every)}, into: every }\n`),
    )
    const { id, rows } = await dataset(acme, 'every')
    expect(rows).toBe(2)
    const seen = await json<Preview>(await acme.fetch(`/v1/datasets/${id}/preview`), 200)
    expect(seen.columns.map(({ type }) => type).join(' ')).toBe(
      'boolean integer integer bigint double decimal text text date timestamp timestamptz json',
    )
    const numbers = [
      'true',
      '7',
      '-2147483648',
      '9223372036854775807',
      '0.1',
      '12345678901234567890.123456789',
    ]
    const moments = ['2024-02-29', '2024-02-29 12:00:00.123456', '2024-02-29 10:00:00.5+00']
    expect(seen.rows).toEqual([
      [...numbers, 'a"b,{c}\\ü', 'x'.repeat(500), ...moments, '{"a": [1, null]}'],
      Array.from({ length: 12 }, () => null),
    ])
    const one = await json<Preview>(await acme.fetch(`/v1/datasets/${id}/preview?limit=1`), 200)
    expect(one.rows).toHaveLength(1)
    for (const query of ['limit=201', 'limit=0', 'offset=1']) {
      await problem(await acme.fetch(`/v1/datasets/${id}/preview?${query}`), 400)
    }
  })

  it('keeps its versions, and says which run and step made each', async () => {
    const made = await pipeline(acme, 'steps:\n  - { id: count, sql: select 1 as n, into: versioned }\n')
    const runs = [await finished(acme, made), await finished(acme, made)]
    const { id, versionId } = await dataset(acme, 'versioned')
    const read = await acme.fetch(`/v1/datasets/${id}`)
    const whole = await json<Whole>(read, 200)
    expect(whole.versions.map(({ state, rows, runId, step }) => [state, rows, runId, step])).toEqual(
      runs.toReversed().map((run) => ['ready', 1, run.id, 'count']),
    )
    expect(whole.versions[0]?.id).toBe(versionId)
    expect(JSON.stringify(whole)).not.toContain(':null')
    const headers = { 'If-None-Match': read.headers.get('etag') ?? '' }
    expect((await acme.fetch(`/v1/datasets/${id}`, { headers })).status).toBe(304)
    await finished(acme, made)
    expect((await acme.fetch(`/v1/datasets/${id}`, { headers })).status).toBe(200)
  })

  it('has nothing to show before its first version is finished', async () => {
    const files = await connect(acme, 'files')
    await upload(acme, files, 'a.csv', 'a\n1\n')
    const steps =
      'steps:\n  - id: read\n    extract: { connection: files, stream: a.csv }\n    into: unfinished\n'
    await finished(acme, await pipeline(acme, steps))
    const { id } = await dataset(acme, 'unfinished')
    await owner.query('update datasets set current_version_id = null where id = $1', [id])
    expect((await problem(await acme.fetch(`/v1/datasets/${id}/preview`), 409)).detail).toContain(
      '"unfinished"',
    )
    expect(await dataset(acme, 'unfinished')).not.toHaveProperty('versionId')
    await json(await acme.fetch(`/v1/datasets/${id}`), 200)
  })

  it('of another tenant is not there, even under the same name', async () => {
    const steps = (n: number) => `steps:\n  - { id: one, sql: select ${n} as n, into: same_name }\n`
    await finished(acme, await pipeline(acme, steps(1)))
    await finished(globex, await pipeline(globex, steps(2)))
    const [ours, theirs] = [await dataset(acme, 'same_name'), await dataset(globex, 'same_name')]
    for (const path of ['', '/preview']) {
      const refused = await problem(await globex.fetch(`/v1/datasets/${ours.id}${path}`), 404)
      const nobodys = await problem(await globex.fetch(`/v1/datasets/${madeUp(ours.id)}${path}`), 404)
      expect(refused.detail).toBe(nobodys.detail)
    }
    const seen = await json<Preview>(await globex.fetch(`/v1/datasets/${theirs.id}/preview`), 200)
    expect(seen.rows).toEqual([['2']])
    expect((await globex.fetch('/v1/datasets')).headers.get('link')).toBeNull()
  })

  it('is in one list, newest first, in pages', async () => {
    const tenant = await here.tenant()
    const steps = ['a', 'b', 'c']
      .map((name) => `  - { id: ${name}, sql: select 1 as n, into: d_${name} }`)
      .join('\n')
    await start(tenant, await pipeline(tenant, `steps:\n${steps}\n`))
    type List = { items: Dataset[]; nextCursor?: string }
    const all = await until('three datasets', async () => {
      const { items } = await json<List>(await tenant.fetch('/v1/datasets'), 200)
      return items.length === 3 && items
    })
    const first = await json<List>(await tenant.fetch('/v1/datasets?limit=2'), 200)
    const cursor = `cursor=${first.nextCursor}`
    const rest = await json<List>(await tenant.fetch(`/v1/datasets?limit=2&${cursor}`), 200)
    expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(all.map(({ id }) => id))
    expect(await paths(await globex.fetch(`/v1/datasets?${cursor}`), 400)).toEqual(['cursor'])
    await problem(await tenant.fetch('/v1/datasets?limit=501'), 400)
  })
})
