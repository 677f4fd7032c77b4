import { describe, expect, it } from 'vitest'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline, readRun, start, type RunJson } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const owner = filePool()

type Item = {
  outer?: number
  item: number
  state: string
  attempt: number
  error?: { code: string; message: string }
  items?: { total: number; open: number }
  waitsFor?: { outer?: number; item?: number; approval?: { message: string } }
}

const itemsOf = async (runId: string, query = '', key = 'each.parts', tenant = acme): Promise<Item[]> =>
  (await json<{ items: Item[] }>(await tenant.fetch(`/v1/runs/${runId}/steps/${key}/items${query}`), 200))
    .items

const placesOf = (items: readonly Item[]) => items.map(({ outer, item }) => [outer, item])

const waiting = (runId: string, count: number) =>
  until(`${count} items to wait`, async () => {
    const items = await itemsOf(runId, '?state=waiting&limit=100')
    return items.length === count && items
  })

const decide = (runId: string, what: 'approve' | 'reject', place: object, tenant = acme) =>
  tenant.fetch(`/v1/runs/${runId}/steps/each.parts/${what}`, { method: 'POST', body: place })

const outputOf = async (runId: string, key = 'each'): Promise<unknown> =>
  (
    await owner.query<{ output: unknown }>(
      'select output from steps where run_id = $1 and key = $2 and map_index = 0',
      [runId, key],
    )
  ).rows[0]?.output

const stateOf = ({ steps }: RunJson, key: string) => steps.find((step) => step.key === key)?.state

/** Two letters, three numbers for each, which a person has to approve. */
const approvals = (rest = '', inner = '') => `
steps:
  - id: each
    ${rest}
    map:
      over: [a, b]
      as: letter
      steps:
        - id: parts
          ${inner}
          map:
            over: [1, 2, 3]
            as: number
            atOnce: 2
            steps: [{ id: ok, wait: { approval: { message: "\${letter}\${number}?" } } }]
`

describe('a map inside a map', () => {
  it('works on the items of all its items side by side, as many at once as it may for each', async () => {
    const runId = await start(acme, await pipeline(acme, approvals()))
    const first = await waiting(runId, 4)
    expect(placesOf(first)).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
    ])
    expect(first.map(({ waitsFor }) => waitsFor)).toMatchObject([
      { outer: 1, item: 1, approval: { message: 'a1?' } },
      { outer: 1, item: 2, approval: { message: 'a2?' } },
      { outer: 2, item: 1, approval: { message: 'b1?' } },
      { outer: 2, item: 2, approval: { message: 'b2?' } },
    ])
    expect(await itemsOf(runId, '', 'each')).toMatchObject([
      { item: 1, state: 'waiting', items: { total: 3, open: 3 } },
      { item: 2, state: 'waiting', items: { total: 3, open: 3 } },
    ])
    expect((await decide(runId, 'approve', { outer: 2, item: 1 })).status).toBe(200)
    await until('the third of b', async () => (await itemsOf(runId, '?outer=2')).length === 3)
    expect(placesOf(await itemsOf(runId, '?outer=1'))).toEqual([
      [1, 1],
      [1, 2],
    ])
    for (const [outer, item] of [
      [1, 1],
      [1, 2],
      [2, 2],
      [2, 3],
      [1, 3],
    ]) {
      await until('it to wait', async () =>
        (await itemsOf(runId, `?outer=${outer}&state=waiting`)).some((one) => one.item === item),
      )
      expect((await decide(runId, 'approve', { outer, item })).status).toBe(200)
    }
    const run = await end(acme, runId)
    expect(run.state).toBe('succeeded')
    const three = { parts: { items: 3, results: [1, 2, 3].map(() => ({ ok: { approved: true } })) } }
    expect(await outputOf(runId)).toMatchObject({ items: 2, results: [three, three] })
    expect(await itemsOf(runId, '', 'each')).toMatchObject([
      { items: { total: 3, open: 0 } },
      { items: { total: 3, open: 0 } },
    ])
  })

  it('shows its items a page at a time, to their tenant alone, and none of a map that is not there', async () => {
    const runId = await start(acme, await pipeline(acme, approvals()))
    await waiting(runId, 4)
    const path = (key: string, query = '') => `/v1/runs/${runId}/steps/${key}/items${query}`
    const page = await json<{ items: Item[]; nextCursor: string }>(
      await acme.fetch(path('each.parts', '?limit=3')),
      200,
    )
    expect(placesOf(page.items)).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
    ])
    expect(placesOf(await itemsOf(runId, `?limit=3&cursor=${page.nextCursor}`))).toEqual([[2, 2]])
    for (const key of ['each.other', 'other.parts', 'each.parts.ok', 'parts'])
      expect((await acme.fetch(path(key))).status).toBe(404)
    expect((await acme.fetch(path('each.parts', '?outer=0'))).status).toBe(400)
    expect((await globex.fetch(path('each.parts'))).status).toBe(404)
    expect((await decide(runId, 'approve', { outer: 1, item: 1 }, globex)).status).toBe(404)
    for (const place of [{ item: 1 }, { outer: 3, item: 1 }, { outer: 1, item: 3 }])
      expect((await decide(runId, 'approve', place)).status).toBe(404)
    await acme.fetch(`/v1/runs/${runId}/cancel`, { method: 'POST' })
    expect((await end(acme, runId)).state).toBe('cancelled')
    expect(new Set((await itemsOf(runId)).map(({ state }) => state))).toEqual(new Set(['cancelled']))
  })

  it('knows the items of both maps and what the steps before it have given', async () => {
    const runId = (
      await finished(
        acme,
        await pipeline(
          acme,
          `
parameters: { most: { type: integer, default: 2 } }
steps:
  - id: each
    map:
      over: [a, b]
      as: letter
      steps:
        - { id: before, map: { over: ["\${letter}", c], as: other, steps: [{ id: pause, if: other == "c", wait: { for: 10ms } }] } }
        - id: parts
          if: letter == "a" or outputs.before.items > 2
          map:
            over: [1, 2, 3]
            as: number
            steps:
              - { id: one, if: number <= params.most and letter == "a", wait: { for: 10ms } }
              - { id: two, if: outputs.before.items == number, wait: { for: 0s } }
        - { id: after_it, if: 'outputs.parts.items == 3', wait: { for: 0s } }
`,
        ),
      )
    ).id
    const before = { items: 2, results: [{}, { pause: {} }] }
    expect(await outputOf(runId)).toEqual({
      items: 2,
      results: [
        {
          before,
          parts: { items: 3, results: [{ one: {} }, { one: {}, two: {} }, {}] },
          after_it: {},
        },
        { before },
      ],
    })
  })

  it('fails its item when items of it failed, after all have been worked on, each with its own attempts', async () => {
    const run = await finished(
      acme,
      await pipeline(
        acme,
        `
retry: { attempts: 1 }
steps:
  - id: each
    retry: { attempts: 3, backoff: constant, first: 10ms, jitter: false }
    map:
      over: [a, b]
      as: letter
      steps:
        - id: parts
          map:
            over: [1, 2, 3]
            as: number
            steps:
              - id: ask
                if: letter == "b" and number > 1
                call: { wait: callback, within: 50ms }
`,
      ),
    )
    expect(run.state).toBe('failed')
    expect(run.steps[0]?.error).toMatchObject({
      code: 'items_failed',
      message: expect.stringMatching(
        /^1 of 2 items failed; the first is item 2: 2 of 3 items of "parts" failed; the first is item 2: /,
      ),
    })
    expect((await itemsOf(run.id)).map(({ state, attempt }) => [state, attempt])).toEqual([
      ['succeeded', 1],
      ['succeeded', 1],
      ['succeeded', 1],
      ['succeeded', 1],
      ['failed', 3],
      ['failed', 3],
    ])
  })

  it.each([
    ['of the step around it', approvals('timeout: 700ms'), /Step each took longer than its 1 s/],
    ['of its own', approvals('', 'timeout: 700ms'), /(Map "parts"|Step each.parts) took longer than its/],
  ])('is over when the time is %s, and leaves no item behind', async (_whose, yaml, words) => {
    const run = await finished(acme, await pipeline(acme, yaml))
    expect(run.steps[0]?.error?.message).toMatch(words)
    expect((await itemsOf(run.id)).every(({ state }) => state === 'cancelled' || state === 'failed')).toBe(
      true,
    )
    const { rows } = await owner.query(
      `select 1 from steps where run_id = $1
         and (answer_key is not null or next_attempt_at is not null or lease_until is not null)`,
      [run.id],
    )
    expect(rows).toEqual([])
  })

  it('goes on with what follows when somebody marks the step, and leaves no item and no child at work', async () => {
    await pipeline(globex, 'steps: [{ id: hold, wait: { for: 5h } }]\n', 'held')
    const nested = `
steps:
  - id: each
    map:
      over: [a, b]
      steps:
        - { id: parts, map: { over: [1, 2], as: number, steps: [{ id: child, pipeline: { name: held } }] } }
  - { id: after_it, wait: { for: 0s }, after: [each] }
`
    const runId = await start(globex, await pipeline(globex, nested))
    const children = async () =>
      (
        await owner.query<{ id: string; state: string; parent_step_key: string; parent_map_index: number }>(
          'select id, state, parent_step_key, parent_map_index from runs where parent_run_id = $1 order by parent_map_index',
          [runId],
        )
      ).rows
    await until(
      'four children',
      async () => (await children()).filter(({ state }) => state === 'waiting').length === 4,
    )
    expect(
      (await children()).map(({ parent_step_key: key, parent_map_index: index }) => [key, index]),
    ).toEqual([
      ['each.parts', 100_001],
      ['each.parts', 100_002],
      ['each.parts', 200_001],
      ['each.parts', 200_002],
    ])
    const marked = await globex.fetch(`/v1/runs/${runId}/steps/each/mark`, {
      method: 'POST',
      body: { as: 'succeeded', reason: 'done by hand' },
    })
    expect(marked.status).toBe(200)
    const run = await end(globex, runId)
    expect([run.state, stateOf(run, 'after_it')]).toEqual(['succeeded', 'succeeded'])
    await until('the children to end', async () =>
      (await children()).every(({ state }) => state === 'cancelled'),
    )
    expect(new Set((await itemsOf(runId, '', 'each.parts', globex)).map(({ state }) => state))).toEqual(
      new Set(['cancelled']),
    )
    const inner = await globex.fetch(`/v1/runs/${runId}/steps/each.parts/mark`, {
      method: 'POST',
      body: { as: 'succeeded', reason: 'no step of its own' },
    })
    expect(inner.status).toBe(404)
  })

  it('is done again whole in a rerun, and its log is the step’s', async () => {
    const failing = `
retry: { attempts: 1 }
steps:
  - { id: first, wait: { for: 0s } }
  - id: each
    after: [first]
    map:
      over: [a]
      steps:
        - id: parts
          map: { over: [1, 2], as: number, steps: [{ id: child, if: number == 2, pipeline: { name: nobody } }] }
`
    const failed = await finished(acme, await pipeline(acme, failing))
    const logs = async (query: string) =>
      (
        await json<{ items: { step: string; outer?: number; mapIndex?: number; message: string }[] }>(
          await acme.fetch(`/v1/runs/${failed.id}/logs${query}`),
          200,
        )
      ).items
    expect(await logs('?step=each.parts')).toMatchObject([
      { step: 'each.parts', outer: 1, mapIndex: 2, message: expect.stringContaining('nobody') },
    ])
    expect((await logs('?step=each')).map(({ step }) => step)).toEqual(['each.parts', 'each', 'each'])
    await pipeline(acme, 'steps: [{ id: hold, wait: { for: 0s } }]\n', 'nobody')
    const again = await acme.fetch(`/v1/runs/${failed.id}/rerun`, {
      method: 'POST',
      body: { from: 'failed' },
    })
    const run = await end(acme, (await json<{ id: string }>(again, 202)).id)
    expect(run.state).toBe('succeeded')
    expect((await itemsOf(run.id)).map(({ state }) => state)).toEqual(['succeeded', 'succeeded'])
  })

  it('is refused with the item that would bring the run beyond 100,000 items', async () => {
    const id = await pipeline(
      acme,
      `
steps:
  - id: each
    map:
      over: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
      atOnce: 11
      steps:
        - id: parts
          map:
            over: { dates: { from: "2000-01-01", to: "2027-05-18" } }
            as: day
            atOnce: 1
            steps: [{ id: ok, wait: { approval: {} } }]
`,
    )
    const runId = await start(acme, id)
    const refused = await until('a refusal', async () => {
      const items = await itemsOf(runId, '?state=failed', 'each')
      return items.length > 0 && items
    })
    await waiting(runId, 9)
    expect(refused[0]?.error).toMatchObject({
      code: 'too_many_items',
      message: expect.stringMatching(
        /^step each, item \d+: with the items of this map the run would have more than 100,000/,
      ),
    })
    const { rows } = await owner.query('select items from runs where id = $1', [runId])
    expect(rows).toEqual([{ items: 90_011 }])
    await acme.fetch(`/v1/runs/${runId}/cancel`, { method: 'POST' })
    expect((await end(acme, runId)).state).toBe('cancelled')
  })
})

describe('a map', () => {
  it('with a time limit ends when its items have, and fails when they take longer', async () => {
    const yaml = (limit: string) => `
steps:
  - { id: each, timeout: ${limit}, map: { over: [1, 2], steps: [{ id: pause, wait: { for: 200ms } }] } }
`
    const run = await finished(acme, await pipeline(acme, yaml('1h')))
    expect(run.state).toBe('succeeded')
    const late = await finished(acme, await pipeline(acme, yaml('100ms')))
    expect(late.steps[0]?.error).toMatchObject({ code: expect.stringMatching(/^(timeout|items_failed)$/) })
  })

  it('asked before its items have ended looks again, and collects what they have given', async () => {
    const runId = await start(
      acme,
      await pipeline(
        acme,
        'steps: [{ id: each, map: { over: [1, 2], steps: [{ id: ok, wait: { approval: {} } }] } }]\n',
      ),
    )
    await until('both to wait', async () => (await itemsOf(runId, '?state=waiting', 'each')).length === 2)
    await owner.query(
      `update steps set next_attempt_at = now() where run_id = $1 and key = 'each' and map_index = 0`,
      [runId],
    )
    for (const item of [1, 2])
      await acme.fetch(`/v1/runs/${runId}/steps/each/approve`, { method: 'POST', body: { item } })
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect(await outputOf(runId)).toMatchObject({ items: 2, results: [{ ok: {} }, { ok: {} }] })
  })

  it('leaves the same behind whether its items were worked out with it or one by one', async () => {
    await pipeline(acme, 'steps: [{ id: nothing, wait: { for: 0s } }]\n', 'asked')
    const left = async (first: string, rest: string) => {
      const { id } = await finished(
        acme,
        await pipeline(
          acme,
          `
steps:
  - id: each
    map:
      over: [${first}2, 3, 4, 5]
      steps:
        - { id: ask, if: item == 1, pipeline: { name: asked } }
        - { id: odd, if: item == 3 or item == 5, wait: { for: 0s } }
${rest}`,
        ),
      )
      const { rows: items } = await owner.query(
        `select kind, position, connection, needs, uses, run_when, state, attempt, fence, lease_until, claimed_by, next_attempt_at,
           answer_key, answer, output, cursor, rows_in, rows_out, rows_rejected, warned, error, map_total, map_open, map_begun,
           attempt_at is not null as attempted, started_at is not null as started, finished_at is not null as finished
         from steps where run_id = $1 and map_index > 0 and map_index <> $2 order by map_index`,
        [id, first === '' ? 0 : 1],
      )
      const { rows: told } = await owner.query(
        `select type, data from run_events where run_id = $1 and map_index > 0 and map_index <> $2 order by map_index, seq`,
        [id, first === '' ? 0 : 1],
      )
      const { rows: runs } = await owner.query<{ items: number; events: number }>(
        'select items, events, (select count(*)::int from run_events e where e.run_id = r.id) as told from runs r where id = $1',
        [id],
      )
      return { items, told, runs, output: await outputOf(id) }
    }
    const [alone, oneByOne] = [await left('', ''), await left('1, ', '')]
    expect(alone.items).toHaveLength(4)
    expect(alone.items).toEqual(oneByOne.items)
    expect(alone.told).toEqual(oneByOne.told)
    expect(alone.output).toEqual({ items: 4, results: [{}, { odd: {} }, {}, { odd: {} }] })
    expect(alone.runs).toMatchObject([{ items: 4 }])
    expect(oneByOne.runs).toMatchObject([{ items: 5 }])
    expect(alone.runs[0]?.events).toBe((alone.runs[0] as unknown as { told: number }).told)
  })

  it('of which the first items only think goes on with the others one by one', async () => {
    const { id, state } = await finished(
      acme,
      await pipeline(
        acme,
        `
steps:
  - id: each
    map:
      over: [1, 2, 3, 4, 5, 6]
      atOnce: 2
      steps: [{ id: pause, if: item > 3, wait: { for: 20ms } }]
`,
      ),
    )
    expect(state).toBe('succeeded')
    expect(await outputOf(id)).toEqual({
      items: 6,
      results: [{}, {}, {}, { pause: {} }, { pause: {} }, { pause: {} }],
    })
    expect((await readRun(acme, id)).steps).toMatchObject([{ items: { total: 6, open: 0 } }])
    const { rows } = await owner.query('select items, events from runs where id = $1', [id])
    expect(rows).toMatchObject([{ items: 6 }])
  })
})
