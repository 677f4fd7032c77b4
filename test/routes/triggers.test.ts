import { describe, expect, it } from 'vitest'
import { problem } from '#test/support/answers.ts'
import { fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type Run = { id: string; trigger: string; state: string }
const runsOf = async (tenant: Tenant, pipelineId: string): Promise<Run[]> =>
  (await json<{ items: Run[] }>(await tenant.fetch(`/v1/runs?pipelineId=${pipelineId}`), 200)).items
const ended = (tenant: Tenant, pipelineId: string) =>
  until('a run that ends', async () => {
    const [run] = await runsOf(tenant, pipelineId)
    return run && { ...(await end(tenant, run.id)), trigger: run.trigger }
  })
const save = (tenant: Tenant, rest: string, name = 'refused') =>
  tenant.fetch('/v1/pipelines', {
    method: 'POST',
    headers: { 'Content-Type': 'application/yaml' },
    body: `apiVersion: weir/v1\nkind: Pipeline\nname: ${name}\n${rest}`,
  })
const step = 'steps: [{ id: one, sql: select 1 as n, into: scratch }]\n'

describe('a pipeline with triggers', () => {
  it('runs after the data that it reads and after the pipeline that it follows, in its tenant alone', async () => {
    const reading =
      'triggers: [{ datasets: [orders, rates], when: all }]\nsteps: [{ id: one, sql: select n from orders, into: sums }]\n'
    const reader = await pipeline(acme, reading, 'reader')
    const stranger = await pipeline(globex, reading, 'reader')
    const follower = await pipeline(acme, `triggers: [{ pipeline: reader }]\n${step}`)
    const alarm = await pipeline(acme, `triggers: [{ pipeline: reader, on: [failed] }]\n${step}`)
    await finished(acme, await pipeline(acme, 'steps: [{ id: one, sql: select 1 as n, into: orders }]\n'))
    expect(await runsOf(acme, reader)).toEqual([])
    await finished(acme, await pipeline(acme, 'steps: [{ id: one, sql: select 2 as n, into: rates }]\n'))
    expect(await ended(acme, reader)).toMatchObject({ trigger: 'dataset', state: 'succeeded' })
    expect(await ended(acme, follower)).toMatchObject({ trigger: 'upstream', state: 'succeeded' })
    expect([await runsOf(acme, alarm), await runsOf(globex, stranger)]).toEqual([[], []])
    await acme.fetch(`/v1/pipelines/${reader}`, { method: 'DELETE' })
    await finished(acme, await pipeline(acme, 'steps: [{ id: one, sql: select 3 as n, into: orders }]\n'))
    await finished(acme, await pipeline(acme, 'steps: [{ id: one, sql: select 3 as n, into: rates }]\n'))
    expect(await runsOf(acme, reader)).toHaveLength(1)
  })

  it.each([
    ['parameters: { n: { type: integer } }\ntriggers: [{ cron: "0 6 * * *" }]\n', 'parameters.n'],
    ['parameters: { n: { type: integer } }\ntriggers: [{ datasets: [orders] }]\n', 'parameters.n'],
    ['parameters: { n: { type: integer } }\ntriggers: [{ pipeline: other }]\n', 'parameters.n'],
    [
      'parameters: { n: { type: integer } }\ntriggers: [{ cron: "0 6 * * *", parameters: { n: six } }]\n',
      'triggers[0].parameters.n',
    ],
    ['triggers: [{ cron: "0 6 * * *", parameters: { m: 1 } }]\n', 'triggers[0].parameters.m'],
    ['triggers: [{ cron: "0 6 * * *", calendar: nowhere }]\n', 'triggers[0].calendar'],
    ['triggers: [{ pipeline: refused }]\n', 'triggers[0].pipeline'],
  ])('is refused when they could not start it: %j', async (rest, path) => {
    const { fields } = await problem(await save(acme, rest + step), 422)
    expect(fields).toMatchObject([{ path, line: expect.any(Number) }])
  })

  it.each([
    'parameters: { n: { type: integer } }\ntriggers: [{ webhook: true }]\n',
    'parameters: { n: { type: integer } }\ntriggers: [{ cron: "0 6 * * *", parameters: { n: 6 } }]\n',
    'parameters: { n: { type: integer, default: 1 } }\ntriggers: [{ datasets: [orders] }, { pipeline: other, on: [finished] }]\n',
  ])('is saved when they can: %j', async (rest) => {
    const made = await save(acme, rest + step, `p-${crypto.randomUUID().slice(0, 8)}`)
    expect(made.status).toBe(201)
  })
})
