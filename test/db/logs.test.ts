import { describe, expect, it } from 'vitest'
import { logWrite } from '#src/db/logs.ts'
import type { ClaimedStep } from '#src/db/run-moves.ts'
import type { RunId } from '#src/domain/id.ts'
import {
  codeOf,
  engineCalls,
  newBareTenant,
  plannedPipeline,
  type EngineCalls,
} from '#test/support/engine-calls.ts'
import { fileCalls, fileDatabase } from '#test/support/per-file.ts'

const database = await fileDatabase()
const { owner } = database
const tenantId = await newBareTenant(owner)
const calls = await fileCalls(database, tenantId)
const others = await fileCalls(database, tenantId)
const fork = ['a', 'b'].map((key) => ({ key, needs: [], when: 'all_success' as const }))
const pipelineId = await plannedPipeline(owner, tenantId, fork)

async function begun(): Promise<{ runId: RunId; a: ClaimedStep; b: ClaimedStep }> {
  const runId = await calls.start(pipelineId)
  const [first, second] = [await calls.claim(runId, null, 'msg_a'), await calls.claim(runId, null, 'msg_b')]
  if (first.outcome !== 'claimed' || second.outcome !== 'claimed') throw new Error('not claimed')
  return { runId, a: first.step, b: second.step }
}

const say = (by: EngineCalls, runId: RunId, step: { key: string; mapIndex: number }, messages: string[]) => {
  const lines = messages.map((message) => ({ at: new Date(), level: 'info' as const, message }))
  const { text, params } = logWrite(runId, step, lines)
  return by.client.query(text, params)
}
type Line = { seq: number; step_key: string; map_index: number | null; level: string; message: string }
const linesOf = async (runId: RunId): Promise<Line[]> =>
  (
    await owner.query<Line>(
      'select seq, step_key, map_index, level, message from run_logs where run_id = $1 order by seq',
      [runId],
    )
  ).rows
const cut = 'More was said than a step keeps (1,000 lines, 256 KB); the rest was cut.'

describe("a run's log", () => {
  it('is written with what it tells of, or not at all', async () => {
    const { runId, a } = await begun()
    await calls.client.query('begin')
    await say(calls, runId, a, ['so far', 'so good'])
    await calls.checkpoint(runId, a)
    await calls.client.query('commit')
    await owner.query('update steps set fence = fence + 1 where run_id = $1 and key = $2', [runId, a.key])
    await calls.client.query('begin')
    await say(calls, runId, a, ['not mine any more'])
    expect(await codeOf(calls.checkpoint(runId, a))).toBe('WE001')
    await calls.client.query('rollback')
    expect((await linesOf(runId)).map(({ seq, message }) => [seq, message])).toEqual([
      [1, 'so far'],
      [2, 'so good'],
    ])
  })

  it('never shows a line after one that was numbered later', async () => {
    const { runId, a, b } = await begun()
    await calls.client.query('begin')
    await say(calls, runId, a, ['first'])
    let isWritten = false
    const second = say(others, runId, b, ['second']).then(() => {
      isWritten = true
    })
    await calls.checkpoint(runId, a)
    expect(isWritten).toBe(false)
    await calls.client.query('commit')
    await second
    expect((await linesOf(runId)).map(({ seq, step_key }) => [seq, step_key])).toEqual([
      [1, a.key],
      [2, b.key],
    ])
  })

  it('does not let two steps that checkpoint and complete at once wait for each other', async () => {
    const { runId, a, b } = await begun()
    const work = async (by: EngineCalls, step: ClaimedStep, delivery: string) => {
      for (let i = 0; i < 50; i++) {
        await by.client.query('begin')
        await say(by, runId, step, [`${i}`])
        await by.checkpoint(runId, step)
        await by.client.query('commit')
      }
      await by.complete(runId, step, { state: 'succeeded' }, delivery)
    }
    await Promise.all([work(calls, a, 'msg_a'), work(others, b, 'msg_b')])
    expect((await linesOf(runId)).map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    const { rows } = await owner.query('select state, logs from runs where id = $1', [runId])
    expect(rows).toEqual([{ state: 'succeeded', logs: 100 }])
  })

  it('keeps 1,000 lines of a step with its items, and says once that there were more', async () => {
    const { runId, a, b } = await begun()
    for (let part = 0; part < 3; part++) {
      await say(
        calls,
        runId,
        { key: a.key, mapIndex: part },
        Array.from({ length: 400 }, (_, i) => `${part} ${i}`),
      )
    }
    await say(calls, runId, a, ['nobody hears this'])
    const lines = await linesOf(runId)
    expect(lines).toHaveLength(1_001)
    expect(lines.at(999)).toMatchObject({ seq: 1_000, map_index: 2, message: '2 199' })
    expect(lines.at(1_000)).toMatchObject({ seq: 1_001, level: 'warn', message: cut })
    await say(calls, runId, b, ['the other step is heard'])
    expect((await linesOf(runId)).at(-1)).toMatchObject({ seq: 1_002, step_key: b.key })
  })

  it('keeps 256 KB of a step', async () => {
    const { runId, a } = await begun()
    const large = 'ü'.repeat(4_096)
    for (let i = 0; i < 5; i++)
      await say(
        calls,
        runId,
        a,
        Array.from({ length: 8 }, () => large),
      )
    const lines = await linesOf(runId)
    expect(lines.map(({ message }) => message === large)).toEqual([...Array<boolean>(32).fill(true), false])
    expect(lines.at(-1)?.message).toBe(cut)
    expect(await codeOf(say(calls, (await begun()).runId, a, [`${large}x`]))).toBe('23514')
  })

  it('can only be added to, and only by the engine', async () => {
    const { runId, a } = await begun()
    await say(calls, runId, a, ['said'])
    for (const statement of [
      `update run_logs set message = 'unsaid'`,
      'delete from run_logs',
      `insert into run_logs select tenant_id, run_id, 99, at, step_key, map_index, level, message from run_logs`,
    ])
      expect(await codeOf(calls.client.query(statement))).toBe('42501')
    const stranger = await engineCalls(database.url, await newBareTenant(owner))
    await say(stranger, runId, a, ['from elsewhere'])
    await stranger.end()
    expect((await linesOf(runId)).map(({ message }) => message)).toEqual(['said'])
  })
})
