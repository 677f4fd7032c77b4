import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { ClaimedStep, Completion } from '#src/db/run-moves.ts'
import { newId, type RunId, type TenantId } from '#src/domain/id.ts'
import {
  engineCalls,
  newBareTenant,
  plannedPipeline,
  type EngineCalls,
  type PlannedStep,
} from '#test/support/engine-calls.ts'
import { fileOwner } from '#test/support/per-file.ts'

const owner = await fileOwner()
let tenant: TenantId
let calls: EngineCalls

beforeAll(async () => {
  tenant = await newBareTenant(owner)
  calls = await engineCalls(inject('env')['DATABASE_URL'] ?? '', tenant)
})
afterAll(() => calls.end())

const step = (key: string, ...needs: string[]): PlannedStep => ({ key, needs, when: 'all_success' })
const many = (count: number, name: (n: number) => PlannedStep) =>
  Array.from({ length: count }, (_, n) => name(n))

type Handled = { runId: RunId; messages: number[]; next: number }

async function begin(steps: readonly PlannedStep[]): Promise<Handled> {
  const runId = await calls.start(await plannedPipeline(owner, tenant, steps))
  const { rows } = await owner.query<{ id: number }>(
    `select id::int from outbox where tenant_id = $1 and payload->>'runId' = $2`,
    [tenant, runId],
  )
  return { runId, messages: rows.map(({ id }) => id), next: 0 }
}

/** One delivery of one step: what it hands on are the messages that it leaves behind. */
async function deliverOne(run: Handled): Promise<number | undefined> {
  const delivery = `msg_${run.next++}`
  const claim = await calls.claim(run.runId, run.messages.shift() ?? null, delivery)
  if (claim.outcome !== 'claimed') return undefined
  run.messages.push(...claim.wakes.map(({ id }) => id))
  const completion = await endLast(run.runId, claim.step, delivery)
  run.messages.push(...completion.wakes.map(({ id }) => id))
  return completion.wakes.length
}

async function endLast(runId: RunId, claimed: ClaimedStep, delivery: string): Promise<Completion> {
  const completion = await calls.complete(runId, claimed, { state: 'succeeded' }, delivery, true)
  expect(completion.step ?? null).toBeNull()
  return completion
}

async function stateOf({ runId }: Handled): Promise<string> {
  const { rows } = await owner.query<{ state: string }>('select state from runs where id = $1', [runId])
  return rows[0]?.state ?? ''
}

describe('what was stopped under those who worked on it', () => {
  it('leaves nothing that is ready without a message', async () => {
    const run = await begin(many(20, (n) => step(`s${n}`)))
    const holder = await calls.claim(run.runId, run.messages[0] ?? null, 'msg_holder')
    expect(holder.outcome).toBe('claimed')
    // Their messages are used up by deliveries that then lose what they hold.
    await owner.query(`delete from outbox where tenant_id = $1 and payload->>'runId' = $2`, [
      tenant,
      run.runId,
    ])
    const { rows } = await calls.client.query<{ value: { wakes: unknown[] } }>(
      `select app.mark_step($1, 's0', 'succeeded', 'it is known') as value`,
      [run.runId],
    )
    expect(rows[0]?.value.wakes).toHaveLength(16)
  })
})

describe('a delivery that takes another step', () => {
  it('wakes what it has readied, though many steps wait for a place with a connection', async () => {
    await owner.query(
      `insert into connections (tenant_id, id, name, kind, config, concurrency) values ($1, $2, 'narrow', 'files', '{}', 1)`,
      [tenant, newId('connection')],
    )
    const run = await begin([
      step('first'),
      ...many(20, (n) => ({ ...step(`load${n}`, 'first'), connection: 'narrow' })),
      step('second', 'first'),
      ...many(3, (n) => step(`after${n}`, 'second')),
    ])
    const claim = await calls.claim(run.runId, run.messages[0] ?? null, 'msg_a')
    if (claim.outcome !== 'claimed') throw new Error('nothing was claimed')
    const first = await calls.complete(run.runId, claim.step, { state: 'succeeded' }, 'msg_a')
    expect(first.step?.key).toBe('load0')
    const other = await calls.claim(run.runId, null, 'msg_b')
    if (other.outcome !== 'claimed') throw new Error('nothing was claimed')
    expect(other.step.key).toBe('second')
    const second = await calls.complete(run.runId, other.step, { state: 'succeeded' }, 'msg_b')
    expect(second.step?.key).toBe('after0')
    expect(second.wakes).toHaveLength(2)
  })
})

describe('a delivery that takes no other step', () => {
  it('hands a chain on with one message a step', async () => {
    const run = await begin(many(5, (n) => (n === 0 ? step('s0') : step(`s${n}`, `s${n - 1}`))))
    for (let n = 0; n < 4; n++) expect(await deliverOne(run)).toBe(1)
    expect(await deliverOne(run)).toBe(0)
    expect(await stateOf(run)).toBe('succeeded')
  })

  it('wakes as many as it has readied, sixteen at most', async () => {
    const few = await begin([step('first'), ...many(3, (n) => step(`m${n}`, 'first'))])
    expect(await deliverOne(few)).toBe(3)
    const wide = await begin([step('first'), ...many(40, (n) => step(`m${n}`, 'first'))])
    expect(await deliverOne(wide)).toBe(16)
  })

  it('adds none to the sixteen that a run has, but always leaves one while anything is ready', async () => {
    const run = await begin([
      step('root'),
      ...many(20, (n) => step(`a${n}`, 'root')),
      ...many(200, (n) => step(`b${n}`, `a${Math.floor(n / 10)}`)),
    ])
    let deliveries = 0
    while (run.messages.length > 0 && deliveries < 2_000) {
      await deliverOne(run)
      deliveries++
      expect(run.messages.length).toBeLessThanOrEqual(2 * 16)
    }
    expect(await stateOf(run)).toBe('succeeded')
    // One a step, and those that found nothing left at the end.
    expect(deliveries).toBeLessThanOrEqual(221 + 2 * 16)
  })
})
