import { describe, expect, inject, it } from 'vitest'
import { filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { inject as fault, tick } from '#test/support/qstash.ts'
import { stepRow } from '#test/support/steps.ts'
import { until } from '#test/support/until.ts'
import { world } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const owner = filePool()

const fresh = () => `p-${crypto.randomUUID().slice(0, 8)}`
const calling = (child: string, more = '', retry = '') => `
parameters: { day: { type: date, default: "2024-02-29" } }
steps:
  - id: sub
    pipeline: { name: ${child}${more} }
    ${retry}`

type Child = {
  id: string
  state: string
  trigger: string
  parameters: Record<string, unknown>
  parent: string | null
}
const childrenOf = async (name: string): Promise<Child[]> =>
  (
    await owner.query<Child>(
      `select r.id, r.state, r.trigger, r.parameters, r.parent_run_id as parent from runs r
       join pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id where p.name = $1 order by r.id`,
      [name],
    )
  ).rows

describe('a pipeline step', () => {
  it('starts a run with the parameters that it gives, and waits for its end', async () => {
    const name = fresh()
    await pipeline(
      acme,
      `
parameters: { on: { type: date }, n: { type: integer, default: 7 } }
steps: [{ id: a, sql: "select \${params.n} as n", into: made_by_child }]`,
      name,
    )
    const run = await finished(
      acme,
      await pipeline(acme, calling(name, ', parameters: { on: "${params.day}" }')),
    )
    expect(run.state).toBe('succeeded')
    const children = await childrenOf(name)
    expect(children).toEqual([
      {
        id: expect.stringMatching(/^run_/),
        state: 'succeeded',
        trigger: 'parent',
        parameters: { on: '2024-02-29', n: 7 },
        parent: run.id,
      },
    ])
    expect((await stepRow(owner, run.id, 'sub')).output).toEqual({
      runId: children[0]?.id,
      state: 'succeeded',
    })
  })

  it('goes on at once where it does not wait', async () => {
    const name = fresh()
    await pipeline(acme, `steps: [{ id: a, wait: { for: 1h } }]`, name)
    const run = await finished(acme, await pipeline(acme, calling(name, ', wait: false')))
    expect(run.state).toBe('succeeded')
    const [child] = await childrenOf(name)
    expect((await stepRow(owner, run.id, 'sub')).output).toMatchObject({ runId: child?.id })
    await until('the child to run', async () => (await readRun(acme, child?.id ?? '')).state === 'waiting')
    await acme.fetch(`/v1/runs/${child?.id}/cancel`, { method: 'POST' })
  })

  it('leaves a child alone that it does not wait for when it is cancelled or marked', async () => {
    for (const how of ['cancel', 'mark']) {
      const name = fresh()
      await pipeline(acme, `steps: [{ id: a, wait: { for: 1h } }]`, name)
      const calls = `${calling(name, ', wait: false')}\n  - { id: hold, wait: { for: 1h }, after: [sub] }`
      const parent = await start(acme, await pipeline(acme, calls))
      await until(
        'the step after it to wait',
        async () => (await stepRow(owner, parent, 'hold')).state === 'waiting',
      )
      const body = how === 'mark' ? { as: 'failed', reason: 'for the test' } : {}
      await acme.fetch(`/v1/runs/${parent}/${how}`, { method: 'POST', body })
      expect((await end(acme, parent)).state).toBe(how === 'mark' ? 'failed' : 'cancelled')
      const [child] = await childrenOf(name)
      expect(child?.state).toBe('waiting')
      await acme.fetch(`/v1/runs/${child?.id}/cancel`, { method: 'POST' })
    }
  })

  it('fails with its child, and starts another one only where it has a policy of its own', async () => {
    const name = fresh()
    await pipeline(
      acme,
      `retry: { attempts: 1 }\nsteps: [{ id: a, sql: "select 1 / 0 as n", into: x }]`,
      name,
    )
    const run = await finished(acme, await pipeline(acme, calling(name)))
    expect(run.steps[0]).toMatchObject({ attempt: 1, error: { code: 'child_failed' } })
    const [child] = await childrenOf(name)
    expect(run.steps[0]?.error?.message).toContain(child?.id)
    const again = await finished(
      acme,
      await pipeline(acme, calling(name, '', 'retry: { attempts: 2, first: 1ms, jitter: false }')),
    )
    expect(again.steps[0]).toMatchObject({ attempt: 2, error: { code: 'child_failed' } })
    expect(await childrenOf(name)).toHaveLength(3)
  })

  it('says so when its child was cancelled, and cancels it when it is cancelled itself', async () => {
    const name = fresh()
    await pipeline(acme, `steps: [{ id: a, wait: { for: 1h } }]`, name)
    const parent = await pipeline(acme, calling(name))
    const first = await start(acme, parent)
    const child = await until('the child', async () => (await childrenOf(name))[0])
    await acme.fetch(`/v1/runs/${child.id}/cancel`, { method: 'POST' })
    expect((await end(acme, first)).steps[0]?.error?.code).toBe('child_cancelled')
    const second = await start(acme, parent)
    const other = await until('the second child', async () => (await childrenOf(name))[1])
    await acme.fetch(`/v1/runs/${second}/cancel`, { method: 'POST' })
    expect((await end(acme, second)).state).toBe('cancelled')
    expect((await end(acme, other.id)).state).toBe('cancelled')
  })

  it('passes warnings on', async () => {
    const name = fresh()
    await pipeline(
      acme,
      `
steps:
  - { id: a, sql: "select null::int as n", into: warned }
  - { id: b, check: warned, rules: [{ rule: not_null, column: n, onFail: warn }] }`,
      name,
    )
    const run = await finished(acme, await pipeline(acme, calling(name)))
    expect(run.state).toBe('succeeded_with_warnings')
    expect((await stepRow(owner, run.id, 'sub')).output).toMatchObject({ state: 'succeeded_with_warnings' })
  })

  it('is told of the end, and its child begun, by the tick where a Worker died after its commit', async () => {
    const silent = await world((services) => ({ ...services, send: () => Promise.resolve() }))
    try {
      const tenant = await silent.tenant()
      const name = fresh()
      await pipeline(tenant, `steps: [{ id: a, wait: { for: 0s } }]`, name)
      const runId = await start(tenant, await pipeline(tenant, calling(name)))
      const due = () => owner.query(`update outbox set send_after = now() where tenant_id = $1`, [tenant.id])
      await until('the end', async () => {
        await due()
        // One Worker's tick sends what another one's deliveries left.
        await tick(inject('env'), here.url)
        return (await readRun(tenant, runId)).state === 'succeeded'
      })
      expect(await childrenOf(name)).toHaveLength(1)
    } finally {
      await silent.close()
    }
  })

  it('fails in words when there is no such pipeline, or it does not take the parameters', async () => {
    const name = fresh()
    await pipeline(globex, `steps: [{ id: a, wait: { for: 0s } }]`, name)
    const strict = fresh()
    await pipeline(acme, `parameters: { on: { type: date } }\nsteps: [{ id: a, wait: { for: 0s } }]`, strict)
    const runs = await Promise.all(
      [calling(name), calling(strict), calling(strict, ', parameters: { on: soon, of: 1 }')].map(
        async (text) => finished(acme, await pipeline(acme, text)),
      ),
    )
    expect(runs.map(({ steps }) => steps[0]?.error?.code)).toEqual([
      'no_pipeline',
      'bad_parameters',
      'bad_parameters',
    ])
    expect(runs[1]?.steps[0]?.error?.message).toContain('parameters.on must be given')
    expect(runs[2]?.steps[0]?.error?.message).toMatch(/parameters\.of .*parameters\.on must be a date/)
    expect(await childrenOf(strict)).toHaveLength(0)
  })

  it('ends where a pipeline starts itself, after ten', async () => {
    const name = fresh()
    const id = await pipeline(acme, calling(name), name)
    const run = await finished(acme, id)
    expect(run.state).toBe('failed')
    const all = await childrenOf(name)
    expect(all).toHaveLength(10)
    expect((await stepRow(owner, all.at(-1)?.id ?? '', 'sub')).error?.code).toBe('too_deep')
  })

  it('ends where a pipeline starts itself without waiting', async () => {
    const name = fresh()
    await start(acme, await pipeline(acme, calling(name, ', wait: false'), name))
    const last = await until('the tenth', async () => (await childrenOf(name))[9])
    expect((await end(acme, last.id)).steps[0]?.error?.code).toBe('too_deep')
    expect(await childrenOf(name)).toHaveLength(10)
  })

  it('starts one child although every delivery comes twice', async () => {
    const armed = await fault(
      inject('env'),
      `${here.url}/jobs/run`,
      { kind: 'duplicate', copies: 2 },
      { every: 1 },
    )
    const name = fresh()
    await pipeline(acme, `steps: [{ id: a, wait: { for: 1s } }]`, name)
    try {
      const runs = await Promise.all(
        Array.from({ length: 5 }, async () => finished(acme, await pipeline(acme, calling(name)))),
      )
      expect(runs.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'succeeded'))
      expect(await armed.struck()).toBeGreaterThan(5)
    } finally {
      await armed.undo()
    }
    expect(await childrenOf(name)).toHaveLength(5)
  })
})
