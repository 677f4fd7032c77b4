import { readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import type { RunId } from '#src/domain/id.ts'
import { newBareTenant, plannedPipeline } from '#test/support/engine-calls.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'
import { end, pipeline, start } from '#test/support/pipeline.ts'
import { world } from '#test/support/world.ts'

const text = await readFile(new URL('../../docs/operations/stuck-runs.md', import.meta.url), 'utf8')
const blocks = (language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block)
const [waitsFor = '', messages = '', stuck = '', leftBehind = ''] = blocks('sql')

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const calls = await fileCalls(database, tenantId)
let runId: RunId
let a: ClaimedStep

type Stuck = { why: string; run_id: string; key: string | null }
const reasons = async (query = stuck): Promise<string[]> =>
  (await owner.query<Stuck>(query)).rows
    .filter((row) => row.run_id === runId)
    .map(({ why, key }) => (key === null ? why : `${key}: ${why}`))
const ask = async <T extends object>(query: string): Promise<T[]> =>
  (await owner.query<T>(query.replaceAll('RUN', runId))).rows
const change = (query: string) => owner.query(query, [runId])

/** A run of three steps, one after the other, whose first one is at work. */
beforeEach(async () => {
  await owner.query(`truncate outbox`)
  const pipelineId = await plannedPipeline(owner, tenantId, [
    { key: 'a', needs: [], when: 'all_success' },
    { key: 'b', needs: ['a'], when: 'all_success' },
    { key: 'c', needs: ['b'], when: 'all_success' },
  ])
  runId = await calls.start(pipelineId)
  const { rows } = await owner.query<{ id: number }>(
    `select id::int from outbox where payload->>'runId' = $1`,
    [runId],
  )
  const claim = await calls.claim(runId, rows[0]?.id ?? 0, 'msg')
  if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
  a = claim.step
})

describe('the page about stuck runs', () => {
  it('tells what each step waits for', async () => {
    const what = async () =>
      (await ask<{ key: string; waits_for: string }>(waitsFor)).map(
        ({ key, waits_for }) => `${key} ${waits_for}`,
      )
    expect(await what()).toEqual([
      expect.stringMatching(/^a a Worker is at it; its lease lasts until \d{4}-/),
      'b the steps that it needs: a',
      'c the steps that it needs: b',
    ])
    await change(`update steps set lease_until = now() - interval '1 s' where run_id = $1 and key = 'a'`)
    expect((await what())[0]).toMatch(/^a its Worker is gone/)
    await calls.complete(runId, a, { state: 'waiting', delayMs: 60_000 }, 'msg')
    expect((await what())[0]).toMatch(/^a the time: \d{4}-/)
    expect(await ask(messages)).toEqual([
      expect.objectContaining({ attempts: 0, not_before: expect.any(Date) }),
    ])
    await change(`update steps set answer_key = 'k', next_attempt_at = null where run_id = $1 and key = 'a'`)
    expect((await what())[0]).toBe('a an answer')
  })

  it('finds nothing where nothing is wrong, at any point of a run', async () => {
    expect(await reasons()).toEqual([])
    await calls.complete(runId, a, { state: 'waiting', delayMs: 3_600_000 }, 'msg')
    expect(await reasons()).toEqual([])
    await change(`update steps set next_attempt_at = now() where run_id = $1 and key = 'a'`)
    const again = await calls.claim(runId, null, 'msg_2')
    if (again.outcome !== 'claimed') throw new Error(again.outcome)
    const { step: b } = await calls.complete(runId, again.step, { state: 'succeeded' }, 'msg_2')
    expect(await reasons()).toEqual([])
    if (!b) throw new Error('the second step was not taken')
    await calls.complete(
      runId,
      b,
      { state: 'ready', delayMs: 60_000, error: { code: 'x', message: 'x' } },
      'msg_2',
    )
    expect(await reasons()).toEqual([])
    await calls.cancel(runId)
    expect([await reasons(), await reasons(leftBehind)]).toEqual([[], []])
  })

  it.each([
    [
      'a: its Worker is gone, and nobody has taken over',
      `update steps set lease_until = now() - interval '6 min' where run_id = $1 and key = 'a'`,
    ],
    [
      'its time is up, and nobody has ended it',
      `update runs set deadline_at = now() - interval '6 min' where id = $1`,
    ],
    [
      'b: its moment has passed',
      `update steps set state = 'ready', next_attempt_at = now() - interval '6 min' where run_id = $1 and key = 'b'`,
    ],
    [
      'a: it can start, and no message will start it',
      `update steps set state = 'ready', lease_until = null where run_id = $1 and key = 'a'`,
    ],
    [
      'a: it waits for a moment, and no message will come then',
      `update steps set state = 'waiting', lease_until = null, next_attempt_at = now() + interval '1 h' where run_id = $1 and key = 'a'`,
    ],
    [
      'a: it waits for nothing',
      `update steps set state = 'waiting', lease_until = null where run_id = $1 and key = 'a'`,
    ],
    [
      'c: it waits for steps that are all over',
      `update steps set state = 'succeeded' where run_id = $1 and key = 'b'`,
    ],
    ['its steps are over, and it is not', `update runs set unfinished = 2 where id = $1`],
    [
      'there is a place for it, and nobody has given it',
      `update runs set state = 'queued', created_at = created_at - interval '6 min' where id = $1`,
    ],
  ])('says "%s" where that was done to a run', async (why, damage) => {
    expect(await reasons()).toEqual([])
    await change(damage)
    expect(await reasons()).toContain(why)
  })

  it('says of a map, and of an item that has a map of its own, that its items are over', async () => {
    const waiting = (cursor: Record<string, unknown>) =>
      ({ state: 'waiting', cursor, map: { total: 3, atOnce: 1, ended: 0 } }) as const
    const { step: item } = await calls.complete(runId, a, waiting({ items: [1, 2, 3] }), 'msg')
    if (!item) throw new Error('the map has no item')
    const inside = { item: 1, at: 0, inner: { items: [4, 5, 6], map: 'parts' }, outputs: {} }
    const { step: inner } = await calls.complete(runId, item, waiting(inside), 'msg')
    expect(inner).toMatchObject({ key: 'a.parts', mapIndex: 100_001 })
    expect(await reasons()).toEqual([])
    const words = 'a: its items are over, and it waits for them'
    const end = `update steps set state = 'succeeded', lease_until = null where run_id = $1 and map_index =`
    await change(`${end} 100001`)
    expect(await reasons()).toEqual([words])
    await change(`${end} 1`)
    expect(await reasons()).toEqual([words])
  })

  it('says of a step that it waits for a run that is over, and of the outbox that nobody empties it', async () => {
    const child = await calls.start(
      await plannedPipeline(owner, tenantId, [{ key: 'x', needs: [], when: 'all_success' }]),
    )
    await calls.complete(runId, a, { state: 'waiting', answerKey: child }, 'msg')
    expect(await reasons()).toEqual([])
    await calls.cancel(child)
    await owner.query(`update runs set finished_at = finished_at - interval '6 min' where id = $1`, [child])
    expect(await reasons()).toEqual(['a: it waits for a run that is over'])
    await calls.client.query(
      `insert into outbox (tenant_id, kind, payload, send_after) values ($1, 'run', jsonb_build_object('runId', $2::text), now() - interval '6 min')`,
      [tenantId, runId],
    )
    expect(await reasons()).toContain('its message lies in the outbox: the tick does not come')
  })

  it.each([
    ['a: a step of it is open', `update steps set state = 'ready' where run_id = $1 and key = 'a'`],
    ['an event is missing', `delete from run_events where run_id = $1 and seq = 2`],
    ['a line of its log is missing', `update runs set logs = 1 where id = $1`],
  ])('says "%s" of a run that is over where that was done to it', async (why, damage) => {
    await calls.complete(runId, a, { state: 'failed', error: { code: 'x', message: 'x' } }, 'msg')
    expect([await reasons(), await reasons(leftBehind)]).toEqual([[], []])
    await change(damage)
    expect(await reasons(leftBehind)).toEqual([why])
  })

  it('gives calls that are answered', async () => {
    const here = await world()
    const acme = await here.tenant()
    const id = await start(acme, await pipeline(acme, 'steps: [{ id: long, wait: { for: 1h } }]\n'))
    const requests = blocks('http').flatMap((block) => block.trim().split('\n'))
    expect(requests.length).toBeGreaterThan(7)
    for (const request of requests) {
      const [method = '', path = ''] = request.replace('RUN', id).split(' ')
      const answer = await acme.fetch(path, { method, headers: { Accept: 'application/json' } })
      expect([request, answer.status]).toEqual([request, method === 'POST' ? 202 : 200])
      await answer.body?.cancel()
    }
    expect((await end(acme, id)).state).toBe('cancelled')
    await here.close()
  })
})
