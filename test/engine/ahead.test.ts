import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { claimStep, completion, startRun, type Completion, type StepResult } from '#src/db/run-moves.ts'
import { newId, type PipelineId } from '#src/domain/id.ts'
import { whens } from '#src/domain/run-state.ts'
import { cases } from '#test/support/long-form.ts'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline, start } from '#test/support/pipeline.ts'

const here = await fileWorld()
const acme = await here.tenant()
const owner = filePool()

const chain = (count: number, rest: (n: number) => string = () => '') =>
  `steps:\n${Array.from(
    { length: count },
    (_, n) => `  - { id: s${n}, wait: { for: 0s }${n === 0 ? '' : `, after: [s${n - 1}]`}${rest(n)} }`,
  ).join('\n')}`

type Event = { seq: number; type: string; step_key: string | null; data: Record<string, unknown> | null }
const eventsOf = async (runId: string): Promise<Event[]> =>
  (
    await owner.query<Event>(
      'select seq, type, step_key, data from run_events where run_id = $1 order by seq',
      [runId],
    )
  ).rows

/** What a run leaves behind, without what differs from one run to the next. */
async function leftBy(runId: string): Promise<unknown> {
  const { rows: runs } = await owner.query(
    `select state, trigger, priority, parameters, unfinished, events, started_at is not null as started,
       finished_at is not null as finished, deadline_at is not null as limited from runs where id = $1`,
    [runId],
  )
  const { rows: steps } = await owner.query(
    `select key, kind, position, connection, needs, uses, needs_succeeded, needs_failed, needs_skipped, run_when, state, attempt,
       fence, lease_until, claimed_by, next_attempt_at, answer_key, answer, output, cursor, rows_in, rows_out, rows_rejected,
       warned, error, started_at is not null as started, finished_at is not null as finished
     from steps where run_id = $1 order by position`,
    [runId],
  )
  const { rows: outbox } = await owner.query(`select kind from outbox where payload->>'runId' = $1`, [runId])
  return { runs, steps, outbox, events: await eventsOf(runId) }
}

const over: StepResult = { state: 'succeeded', rowsOut: 0, cursor: null }
const skipped: StepResult = { state: 'skipped', reason: 'condition' }

/** A run whose deliveries are this test's: nothing is worked out ahead. */
async function oneByOne(pipelineId: PipelineId, resultOf: (key: string) => StepResult): Promise<string> {
  const db = here.services.database.tenant(acme.id, 'job')
  const id = newId('run')
  const delivery = { id: 'by-hand', retry: false }
  const started = await startRun(db, { id, pipelineId, parameters: {}, trigger: 'manual' })
  const claim = await claimStep(db, id, 'wake' in started ? started.wake.id : undefined, delivery, 60_000)
  let step = claim.outcome === 'claimed' ? claim.step : undefined
  while (step) {
    const [result] = await db.statements([completion(id, step, resultOf(step.key), delivery, 60_000)])
    step = (result?.rows[0]?.['value'] as Completion | undefined)?.step ?? undefined
  }
  return id
}

const twelve = chain(12, (n) =>
  n === 5 ? `, if: 'outputs.s4.state == "failed"'` : n === 6 ? ', when: all_done' : '',
)

type Thought = { after: number[]; when: (typeof whens)[number]; condition: 'none' | 'holds' | 'fails' }

/** Steps that only think, each after some of those before it. */
const thoughts: fc.Arbitrary<Thought[]> = fc.array(
  fc.record({
    after: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
    when: fc.constantFrom(...whens),
    condition: fc.constantFrom('none', 'holds', 'fails'),
  }),
  { minLength: 2, maxLength: 14 },
)

const conditions = { none: '', holds: ', if: 1 == 1', fails: ', if: 1 == 2' }
const yamlOf = (steps: readonly Thought[]): string =>
  `steps:\n${steps
    .map(({ after, when, condition }, n) => {
      const needs = n === 0 ? [] : [...new Set([after[0] ?? 0, ...after].map((each) => `s${each % n}`))]
      return `  - { id: s${n}, wait: { for: 0s }, after: [${needs.join()}], when: ${n === 0 ? 'all_success' : when}${conditions[condition]} }`
    })
    .join('\n')}`

/** How each step ended and what was told of it; steps that nobody orders may be told of in any order. */
async function endsOf(runId: string): Promise<unknown> {
  const { rows: steps } = await owner.query<{ key: string }>(
    `select key, state, attempt, fence, output, rows_out, cursor from steps where run_id = $1 order by position`,
    [runId],
  )
  const events = await eventsOf(runId)
  const { rows: runs } = await owner.query('select state, events, unfinished from runs where id = $1', [
    runId,
  ])
  const told = (key: string | null) =>
    events.filter((event) => event.step_key === key).map(({ type, data }) => [type, data])
  return { runs, of: told(null), steps: steps.map((step) => ({ ...step, told: told(step.key) })) }
}

describe('steps that only think', () => {
  it('end as they would one by one, however they wait for each other', async () => {
    await fc.assert(
      fc.asyncProperty(thoughts, async (steps) => {
        const id = (await pipeline(acme, yamlOf(steps))) as PipelineId
        const fails = new Set(steps.flatMap(({ condition }, n) => (condition === 'fails' ? [`s${n}`] : [])))
        const byHand = await endsOf(await oneByOne(id, (key) => (fails.has(key) ? skipped : over)))
        for (const _round of ['in one piece', 'with the start'])
          expect(await endsOf((await finished(acme, id)).id)).toEqual(byHand)
      }),
      cases(15),
    )
  })

  it('are committed in one round trip, a thousand side by side and what waits for all of them', async () => {
    const many = Array.from({ length: 998 }, (_, n) => `m${n}`)
    const id = await pipeline(
      acme,
      `steps:
  - { id: first, wait: { for: 0s } }
${many.map((key) => `  - { id: ${key}, wait: { for: 0s }, after: [first] }`).join('\n')}
  - { id: last, wait: { for: 0s }, after: [${many.join(', ')}] }`,
    )
    const run = await finished(acme, id)
    expect(run.state).toBe('succeeded')
    const { rows } = await owner.query<{ moments: number }>(
      'select count(distinct xmin::text)::int as moments from run_events where run_id = $1 and step_key is not null',
      [run.id],
    )
    // The claim of the first, and the end of all.
    expect(rows[0]?.moments).toBeLessThanOrEqual(2)
  })

  it('leave the same behind one by one, in one piece after the first, and written with the start', async () => {
    const id = (await pipeline(acme, twelve)) as PipelineId
    const byHand = await leftBy(await oneByOne(id, (key) => (key === 's5' ? skipped : over)))
    const inOnePiece = await leftBy((await finished(acme, id)).id)
    const withTheStart = await leftBy((await finished(acme, id)).id)
    expect(inOnePiece).toEqual(byHand)
    expect(withTheStart).toEqual(byHand)
    expect(byHand).toMatchObject({ runs: [{ state: 'succeeded', events: 38 }], outbox: [] })
  })

  it('are over with the answer once their version is known, and the next version is seen at once', async () => {
    const name = `p-${crypto.randomUUID().slice(0, 8)}`
    const id = await pipeline(acme, chain(3), name)
    await finished(acme, id)
    const again = await acme.fetch('/v1/runs', { method: 'POST', body: { pipelineId: id } })
    expect(await json<{ state: string }>(again, 202)).toMatchObject({ state: 'succeeded' })
    const source = `apiVersion: weir/v1\nkind: Pipeline\nname: ${name}\n${chain(4)}`
    const headers = { 'Content-Type': 'application/yaml', 'If-Match': '*' }
    await json(await acme.fetch(`/v1/pipelines/${id}`, { method: 'PUT', headers, body: source }), 200)
    expect((await finished(acme, id)).steps).toHaveLength(4)
  })

  it('end where another step has to be asked for, waited for or told', async () => {
    const id = await pipeline(
      acme,
      `steps:
  - { id: a, wait: { for: 0s } }
  - { id: b, wait: { for: 0s }, after: [a] }
  - { id: later, wait: { for: 30ms }, after: [b] }
  - { id: c, wait: { for: 0s }, after: [later] }
  - { id: made, sql: select 7 as n, into: sevens, after: [c] }
  - { id: d, wait: { for: 0s }, after: [made], if: outputs.made.rowsOut == 1 }
  - { id: e, wait: { for: 0s }, after: [made], if: outputs.made.rowsOut == 2 }
  - { id: f, wait: { for: 0s }, after: [d, e], when: all_done }
  - { id: broken, sql: "select 1 / (n - 1) as q from generate_series(1, 2) n", into: never, after: [f], retry: { attempts: 1 } }
  - { id: g, wait: { for: 0s }, after: [broken] }
  - { id: h, wait: { for: 0s }, after: [g], when: none_failed }
  - { id: i, wait: { for: 0s }, after: [h], when: all_done }`,
    )
    for (const round of [1, 2]) {
      const run = await finished(acme, id)
      const states = Object.fromEntries(run.steps.map((step) => [step.key, step.state]))
      expect([round, run.state, states]).toEqual([
        round,
        'failed',
        {
          a: 'succeeded',
          b: 'succeeded',
          later: 'succeeded',
          c: 'succeeded',
          made: 'succeeded',
          d: 'succeeded',
          e: 'skipped',
          f: 'succeeded',
          broken: 'failed',
          g: 'skipped',
          h: 'succeeded',
          i: 'succeeded',
        },
      ])
    }
  })

  it('wait for their turn in a pipeline that is paused or has no place', async () => {
    const id = await pipeline(acme, chain(3))
    await finished(acme, id)
    await acme.fetch(`/v1/pipelines/${id}/pause`, { method: 'POST', body: {} })
    const held = await start(acme, id)
    expect(await leftBy(held)).toMatchObject({ runs: [{ state: 'queued', events: 1 }] })
    await acme.fetch(`/v1/pipelines/${id}/resume`, { method: 'POST', body: {} })
    expect((await end(acme, held)).state).toBe('succeeded')
  })

  it('are refused as a whole to who does not hold the first of them any more', async () => {
    const id = (await pipeline(acme, chain(4))) as PipelineId
    const db = here.services.database.tenant(acme.id, 'job')
    const run = newId('run')
    const delivery = { id: 'slow', retry: false }
    const started = await startRun(db, { id: run, pipelineId: id, parameters: {}, trigger: 'manual' })
    const claim = await claimStep(db, run, 'wake' in started ? started.wake.id : undefined, delivery, 60_000)
    if (claim.outcome !== 'claimed') throw new Error(claim.outcome)
    const ahead = ['s1', 's2', 's3'].map((key) => ({ key, result: over }))
    const stale = { ...claim.step, fence: claim.step.fence - 1 }
    await expect(
      db.statements([completion(run, stale, over, delivery, 60_000, ahead)]),
    ).rejects.toMatchObject({
      code: 'WE001',
    })
    await db.statements([completion(run, claim.step, over, delivery, 60_000, ahead)])
    expect(await leftBy(run)).toMatchObject({ runs: [{ state: 'succeeded' }], outbox: [] })
    await expect(
      db.statements([completion(run, claim.step, over, delivery, 60_000, ahead)]),
    ).rejects.toMatchObject({ code: 'WE001' })
  })
})
