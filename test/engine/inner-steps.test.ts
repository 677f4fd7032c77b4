import { describe, expect, it } from 'vitest'
import { fileEndpoint, filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'

const here = await fileWorld()
const acme = await here.tenant()
const there = await fileEndpoint()
const owner = filePool()

const mapped = (steps: string, more = '') => `
retry: { attempts: 1 }
steps:
  - id: each
    ${more}
    map:
      over: [1]
      steps:
${steps.replace(/^/gm, '        ')}`

const itemOf = async (runId: string) =>
  (
    await owner.query<{ state: string; attempt: number; error: { code: string; message: string } | null }>(
      `select state, attempt, error from steps where run_id = $1 and key = 'each' and map_index = 1`,
      [runId],
    )
  ).rows[0]

describe('a step inside a map', () => {
  it('is tried again by its own policy, each by its own count, and what was done before it is not done again', async () => {
    const answers = (path: string, failures: number) =>
      there.on(path, (_, nth) => (nth <= failures ? new Response('', { status: 503 }) : Response.json(nth)))
    answers('/first', 2)
    answers('/second', 2)
    const call = (id: string) =>
      `- { id: ${id}, call: { url: "${there.url}/${id}", method: GET }, retry: { attempts: 3, first: 1ms, backoff: constant, jitter: false } }`
    const steps = `${call('first')}\n- { id: middle, wait: { for: 0s } }\n${call('second')}`
    const run = await finished(acme, await pipeline(acme, mapped(steps)))
    expect(run.state).toBe('succeeded')
    expect([there.at('/first').length, there.at('/second').length]).toEqual([3, 3])
    expect(await itemOf(run.id)).toMatchObject({ state: 'succeeded', attempt: 5 })
  })

  it('that fails takes nothing back that the steps before it have done', async () => {
    const child = `p-${crypto.randomUUID().slice(0, 8)}`
    const childId = await pipeline(acme, 'steps: [{ id: one, wait: { for: 0s } }]\n', child)
    const steps = `- { id: starts, pipeline: { name: ${child}, wait: false } }
- { id: tells, notify: { to: nobody, message: hi } }`
    const run = await finished(acme, await pipeline(acme, mapped(steps)))
    expect(await itemOf(run.id)).toMatchObject({ state: 'failed', attempt: 1, error: { code: 'no_channel' } })
    const { items } = await json<{ items: { id: string; parentRunId: string }[] }>(
      await acme.fetch(`/v1/runs?pipelineId=${childId}`),
      200,
    )
    expect(items.map(({ parentRunId }) => parentRunId)).toEqual([run.id])
    expect((await end(acme, items[0]?.id ?? '')).state).toBe('succeeded')
  })

  it('has failed when it takes longer than its own time, and the time of the one before it does not count', async () => {
    const steps = `- { id: rests, wait: { for: 1s }, timeout: 3s }
- { id: asks, wait: { approval: {} }, timeout: 1s }`
    const run = await finished(acme, await pipeline(acme, mapped(steps)))
    expect(await itemOf(run.id)).toMatchObject({
      state: 'failed',
      attempt: 1,
      error: { code: 'timeout', message: 'Step asks took longer than its 1 s.' },
    })
  })

  it('goes on when it is answered in its time', async () => {
    const runId = await start(
      acme,
      await pipeline(acme, mapped('- { id: asks, wait: { approval: {} }, timeout: 1m }')),
    )
    await until('the item to wait', async () => (await itemOf(runId))?.state === 'waiting')
    const path = `/v1/runs/${runId}/steps/each/approve`
    expect((await acme.fetch(path, { method: 'POST', body: { item: 1 } })).status).toBe(200)
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await readRun(acme, runId)).steps).toMatchObject([{ state: 'succeeded' }])
  })
})
