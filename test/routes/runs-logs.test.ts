import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Services } from '#src/actions/context.ts'
import { newId, type RunId } from '#src/domain/id.ts'
import { paths, problem } from '#test/support/answers.ts'
import { isLongForm } from '#test/support/long-form.ts'
import { connect, finished, json, pipeline, start, upload } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let owner: pg.Client
/** How often the database was asked on behalf of a tenant. */
let asked = 0
beforeAll(async () => {
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  const counted = (services: Services): Services => ({
    ...services,
    database: {
      ...services.database,
      tenant(tenantId, actor) {
        const db = services.database.tenant(tenantId, actor)
        return { ...db, run: (...queries) => ((asked += 1), db.run(...queries)) }
      },
    },
  })
  ;[here] = await Promise.all([world(counted), owner.connect()])
  acme = await here.tenant()
})
afterAll(() => Promise.all([here.close(), owner.end()]))

type Line = { seq: number; step: string; level: string; message: string; mapIndex?: number; at: string }
type Page = { items: Line[]; nextCursor?: string }
const logs = async (id: string, query = ''): Promise<Page> =>
  json<Page>(await acme.fetch(`/v1/runs/${id}/logs${query}`), 200)

/** A run that waits, and what its log is to be. */
async function withLog(lines: [step: string, level: string, message: string][]): Promise<RunId> {
  const id = (await start(
    acme,
    await pipeline(acme, 'steps:\n  - { id: long, wait: { for: 1h } }\n'),
  )) as RunId
  await addLines(id, lines)
  return id
}
async function addLines(id: RunId, lines: [step: string, level: string, message: string][]): Promise<void> {
  await owner.query(
    `with added as (
       insert into run_logs (tenant_id, run_id, seq, at, step_key, level, message)
       select r.tenant_id, r.id, r.logs + n, clock_timestamp(), l->>0, l->>1, l->>2
       from runs r, jsonb_array_elements($2::jsonb) with ordinality as g(l, n) where r.id = $1
       returning 1)
     update runs set logs = logs + (select count(*) from added) where id = $1`,
    [id, JSON.stringify(lines)],
  )
}

describe("a run's log", () => {
  it('tells what was read from where, how often it was tried and why it failed, without the secret', async () => {
    const warehouse = inject('warehouse')
    const bucket = await connect(acme, 'files', 'bucket')
    await upload(acme, bucket, 'people.csv', 'name\nAda\nGrace\n')
    // Its name is its password, so that every message about it would give the password away.
    const name = 'open-sesame-42'
    await connect(acme, 'postgres', name, { ...warehouse, port: 1, password: name })
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `steps:
  - { id: read, extract: { connection: bucket, stream: people.csv }, into: people }
  - { id: publish, load: { from: people, connection: ${name}, table: public.people }, retry: { attempts: 2, first: 10ms, jitter: false } }
`,
      ),
    )
    expect(run.state).toBe('failed')
    const { items } = await logs(run.id)
    expect(items.map(({ seq, step, level }) => [seq, step, level])).toEqual([
      [1, 'read', 'info'],
      [2, 'read', 'info'],
      [3, 'publish', 'warn'],
      [4, 'publish', 'error'],
    ])
    expect(items[0]?.message).toBe('Reads "people.csv" of connection "bucket".')
    expect(items[1]?.message).toBe('Read 2 rows.')
    expect(items[2]?.message).toMatch(/^Attempt 1 failed: .*"•••".* Again in 0 s\.$/)
    expect(items[3]?.message).toMatch(/^Attempt 2, the last one, failed: .*"•••"/)
    expect(JSON.stringify([items, run])).not.toContain('sesame')
    for (const { at } of items) expect(at).toMatch(/^\d{4}-.*Z$/)
  })

  it('has what a script says, and why it failed', async () => {
    const code =
      'export default (rows) => { console.log("so many:", rows.length); console.warn("two\\nlines"); return rows[0].none.x }'
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `steps:
  - { id: some, sql: "select n from generate_series(1, 3) n", into: said_some }
  - { id: tell, script: { from: said_some, columns: { n: integer }, code: '${code}' }, into: said_none }
`,
      ),
    )
    expect(run.state).toBe('failed')
    const said = (await logs(run.id, '?step=tell')).items.map(({ level, message }) => [level, message])
    expect(said).toEqual([
      ['info', 'so many: 3'],
      ['info', 'two'],
      ['info', 'lines'],
      ['error', expect.stringMatching(/^The script could not /)],
    ])
  })

  it('is read a page at a time, from any line on, while it grows', async () => {
    const id = await withLog(Array.from({ length: 7 }, (_, i) => ['long', 'info', `line ${i + 1}`]))
    const seen: number[] = []
    let query = '?limit=3'
    for (;;) {
      const { items, nextCursor } = await logs(id, query)
      seen.push(...items.map(({ seq }) => seq))
      if (nextCursor === undefined) break
      if (seen.length === 3) await addLines(id, [['long', 'info', 'line 8']])
      query = `?limit=3&cursor=${nextCursor}`
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect((await logs(id, '?after=6')).items.map(({ seq }) => seq)).toEqual([7, 8])
    expect((await logs(id, '?after=8')).items).toEqual([])
  })

  it('is searched by step, by level and graver, and by plain text', async () => {
    const id = await withLog([
      ['long', 'debug', 'Took 100 % of it'],
      ['long', 'info', 'took 100 bits'],
      ['other', 'warn', 'a_b'],
      ['other', 'error', 'axb \\ C:\\temp'],
    ])
    const seqs = async (query: string) => (await logs(id, query)).items.map(({ seq }) => seq)
    expect(await seqs('?step=other')).toEqual([3, 4])
    expect(await seqs('?level=debug')).toEqual([1, 2, 3, 4])
    expect(await seqs('?level=warn')).toEqual([3, 4])
    expect(await seqs('?search=TOOK')).toEqual([1, 2])
    expect(await seqs('?search=100%20%25')).toEqual([1])
    expect(await seqs('?search=a_b')).toEqual([3])
    expect(await seqs('?search=%5C')).toEqual([4])
    expect(await seqs(`?search=${encodeURIComponent("' or 1=1 --")}`)).toEqual([])
    expect(await seqs('?step=other&level=error&search=temp&after=3')).toEqual([4])
  })

  it('refuses what it does not know, and a cursor of other filters', async () => {
    const id = await withLog([
      ['long', 'info', 'a'],
      ['long', 'info', 'b'],
    ])
    for (const query of ['level=loud', 'after=-1', 'after=x', 'search=', 'page=1'])
      expect((await problem(await acme.fetch(`/v1/runs/${id}/logs?${query}`), 400)).code).toBe('malformed')
    const { nextCursor } = await logs(id, '?limit=1')
    expect(await paths(await acme.fetch(`/v1/runs/${id}/logs?search=a&cursor=${nextCursor}`), 400)).toEqual([
      'cursor',
    ])
    await problem(await acme.fetch(`/v1/runs/${newId('run')}/logs`), 404)
    const globex = await here.tenant()
    await problem(await globex.fetch(`/v1/runs/${id}/logs`), 404)
  })

  it('comes with the events as it grows, and goes on where it was left', async () => {
    const id = await withLog([['long', 'info', 'one']])
    const whole = streamOf(await acme.fetch(`/v1/runs/${id}/events`))
    const first = await whole.until(({ event }) => event === 'log')
    expect(first.data).toMatchObject({ seq: 1, step: 'long', level: 'info', message: 'one' })
    expect(first.id).toMatch(/^\d+\.1$/)
    await addLines(id, [
      ['long', 'info', 'two'],
      ['long', 'warn', 'three'],
    ])
    here.services.live(acme.id, id, true)
    const second = await whole.until(({ event }) => event === 'log')
    await whole.close()
    const rest = streamOf(
      await acme.fetch(`/v1/runs/${id}/events`, { headers: { 'Last-Event-ID': second.id } }),
    )
    expect((await rest.until(({ event }) => event === 'log')).data).toMatchObject({ seq: 3 })
    await acme.fetch(`/v1/runs/${id}/cancel`, { method: 'POST' })
    const last = await rest.until(({ event }) => event === 'run.cancelled')
    expect(last.id).toMatch(/^\d+\.3$/)
    expect((await rest.all()).map(({ event }) => event)).toEqual([])
    const nothing = streamOf(await acme.fetch(`/v1/runs/${id}/events?after=${last.id}`))
    expect(await nothing.all()).toEqual([])
  })
})

describe('events by the thousand', () => {
  let id: string
  const count = isLongForm ? 30_000 : 6_000
  beforeAll(async () => {
    const run = await finished(
      acme,
      await pipeline(acme, 'steps:\n  - { id: one, sql: select 1 as n, into: many_events }\n'),
    )
    id = run.id
    await owner.query(
      `insert into run_events (tenant_id, run_id, seq, type, step_key, map_index, actor)
       select tenant_id, id, n, 'step.running', 'one', n, 'job' from runs, generate_series(events + 1, $2::int) n where id = $1`,
      [id, count],
    )
    await owner.query('update runs set events = $2 where id = $1', [id, count])
  })

  it('come in pages, each once', async () => {
    let seen = 0
    let query = '?limit=500'
    for (;;) {
      const answer = await acme.fetch(`/v1/runs/${id}/events${query}`, {
        headers: { Accept: 'application/json' },
      })
      const { items, nextCursor } = await json<Page>(answer, 200)
      for (const { seq } of items) expect(seq).toBe(++seen)
      expect(items.length).toBeLessThanOrEqual(500)
      if (nextCursor === undefined) break
      query = `?limit=500&cursor=${nextCursor}`
    }
    expect(seen).toBe(count)
    const answer = await acme.fetch(`/v1/runs/${id}/events?after=${count - 10}`, {
      headers: { Accept: 'application/json' },
    })
    const { items } = await json<Page>(answer, 200)
    expect(items.map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, i) => count - 9 + i))
    expect(items.at(-1)).toMatchObject({ type: 'step.running', step: 'one', mapIndex: count })
  })

  it('come as a stream, each once, and no faster than they are read', async () => {
    const stream = streamOf(await acme.fetch(`/v1/runs/${id}/events`))
    await stream.until(({ event }) => event === 'step.running')
    const askedBefore = asked
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(asked - askedBefore).toBeLessThanOrEqual(1)
    const rest = await stream.all()
    expect(rest.at(-1)?.id).toBe(String(count))
    expect(rest).toHaveLength(count - 3)
    expect(asked - askedBefore).toBeGreaterThan(count / 500 - 3)
    const again = streamOf(
      await acme.fetch(`/v1/runs/${id}/events`, { headers: { 'Last-Event-ID': String(count / 2) } }),
    )
    const half = await again.all()
    expect([half[0]?.id, half.length]).toEqual([String(count / 2 + 1), count / 2])
  })
})

type Said = { id: string; event: string; data: Record<string, unknown> }

/** Reads a stream of events one by one. */
function streamOf(answer: Response) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (!reader) throw new Error(`no stream, but ${answer.status}`)
  const waiting: Said[] = []
  let text = ''
  const next = async (): Promise<Said | undefined> => {
    for (;;) {
      const said = waiting.shift()
      if (said) return said
      const { done, value } = await reader.read()
      if (done) return undefined
      text += value
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
        const [id, event, data] = [field('id'), field('event'), field('data')]
        if (id !== undefined && event !== undefined) {
          waiting.push({ id, event, data: JSON.parse(data ?? '{}') as Record<string, unknown> })
        }
      }
    }
  }
  return {
    async until(is: (said: Said) => boolean): Promise<Said> {
      for (;;) {
        const said = await next()
        if (!said) throw new Error('the stream ended')
        if (is(said)) return said
      }
    },
    async all(): Promise<Said[]> {
      const all: Said[] = []
      for (let said = await next(); said; said = await next()) all.push(said)
      return all
    },
    close: () => reader.cancel(),
  }
}
