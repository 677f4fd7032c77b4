import { beforeEach, describe, expect, it } from 'vitest'
import type { StepResult } from '#src/db/run-moves.ts'
import { failureClasses, outageCodes } from '#src/domain/failure-class.ts'
import { newId, type ConnectionId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import { engineCalls, newBareTenant, plannedPipeline, type EngineCalls } from '#test/support/engine-calls.ts'
import { fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
let tenantId: TenantId
let calls: EngineCalls
let connectionId: ConnectionId
let pipelineId: PipelineId
beforeEach(async () => {
  tenantId = await newBareTenant(owner)
  calls = await engineCalls(database.url, tenantId)
  connectionId = newId('connection')
  await owner.query(
    `insert into connections (tenant_id, id, name, kind, config) values ($1, $2, 'house', 'postgres', '{}')`,
    [tenantId, connectionId],
  )
  pipelineId = await plannedPipeline(owner, tenantId, [
    { key: 'one', needs: [], when: 'all_success', connection: 'house' },
  ])
  return () => calls.end()
})

const ends = (code: string): StepResult => ({ state: 'failed', error: { code, message: 'words' } })

/** A run whose one step ends so. */
async function step(result: StepResult): Promise<RunId> {
  const runId = await calls.start(pipelineId)
  const claim = await calls.claim(runId, null, 'msg')
  if (claim.outcome !== 'claimed') throw new Error(`nothing was claimed: ${claim.outcome}`)
  await calls.complete(runId, claim.step, result, 'msg')
  return runId
}

async function health(): Promise<{ failures: number; rests: number | null }> {
  const { rows } = await owner.query<{ failures: number; rests: number | null }>(
    `select failures, round(extract(epoch from rests_until - clock_timestamp()))::int as rests from connections where id = $1`,
    [connectionId],
  )
  if (!rows[0]) throw new Error('no connection')
  return rows[0]
}

const restOver = () =>
  owner.query(`update connections set rests_until = now() - interval '1 s' where id = $1`, [connectionId])

describe('a connection', () => {
  it('rests after five outages in a row, for twice as long each time and a quarter of an hour at most', async () => {
    for (let n = 1; n <= 4; n++) {
      await step(ends('connection_refused'))
      expect(await health()).toEqual({ failures: n, rests: null })
    }
    for (const seconds of [30, 60, 120, 240, 480, 900, 900]) {
      await step(ends('connection_refused'))
      const { rests } = await health()
      expect(Math.abs((rests ?? 0) - seconds)).toBeLessThanOrEqual(1)
      await restOver()
    }
    await step({ state: 'succeeded' })
    expect(await health()).toEqual({ failures: 0, rests: null })
  })

  it('counts a retry like a failure, and a continuation of an attempt not at all', async () => {
    await step({ ...ends('unreachable'), state: 'ready', delayMs: 60_000 })
    expect((await health()).failures).toBe(1)
    const runId = await calls.start(pipelineId)
    const first = await calls.claim(runId, null, 'a')
    if (first.outcome !== 'claimed') throw new Error('nothing was claimed')
    const again = await calls.complete(
      runId,
      first.step,
      { ...ends('unreachable'), state: 'ready', delayMs: 0 },
      'a',
    )
    const second = again.step ?? (await calls.claim(runId, null, 'b').then((c) => 'step' in c && c.step))
    if (!second) throw new Error('nothing was claimed')
    expect((await health()).failures).toBe(2)
    await calls.complete(runId, second, { state: 'ready', yielded: true }, 'b')
    expect((await health()).failures).toBe(2)
  })

  it('does not rest for what is no outage, and not longer for what had begun before it rested', async () => {
    for (let n = 0; n < 8; n++) await step(ends('wrong_password'))
    expect(await health()).toEqual({ failures: 0, rests: null })
    const running = []
    for (let n = 0; n < 8; n++) {
      const runId = await calls.start(pipelineId)
      const claim = await calls.claim(runId, null, `msg_${n}`)
      if (claim.outcome === 'claimed') running.push({ runId, step: claim.step })
    }
    expect(running).toHaveLength(8)
    for (const { runId, step: held } of running)
      await calls.complete(runId, held, ends('too_many_connections'), 'x')
    expect((await health()).failures).toBe(5)
  })

  it('lets nothing start while it rests, and what waited starts when somebody resets it', async () => {
    for (let n = 0; n < 5; n++) await step(ends('connect_timeout'))
    const runId = await calls.start(pipelineId)
    expect(await calls.claim(runId, null, 'msg')).toMatchObject({ outcome: 'idle' })
    const { rows } = await calls.client.query<{ value: { wakes: { runId: RunId }[] } }>(
      'select app.open_connection($1, true) as value',
      [connectionId],
    )
    expect(rows[0]?.value.wakes).toMatchObject([{ runId }])
    expect(await health()).toEqual({ failures: 0, rests: null })
    expect(await calls.claim(runId, null, 'msg')).toMatchObject({ outcome: 'claimed', step: { attempt: 1 } })
  })

  it('rests for the codes that failure-class.ts calls outages, and for no others', async () => {
    const { rows } = await owner.query<{ code: string }>(
      'select code from unnest($1::text[]) code where app.is_outage(code) order by 1',
      [[...Object.keys(failureClasses), 'wrong_password', 'bad_csv', 'unknown_table']],
    )
    expect(rows.map(({ code }) => code)).toEqual(outageCodes.toSorted())
  })
})
