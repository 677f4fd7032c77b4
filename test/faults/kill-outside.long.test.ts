import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endpoint, type Endpoint } from '#test/support/endpoint.ts'
import { ageOutbox, leftovers, nothing, runState } from '#test/support/ledger.ts'
import { ownServices, ownWorker, type OwnServices, type OwnWorker } from '#test/support/own-stack.ts'
import { json, pipeline, start } from '#test/support/pipeline.ts'
import { tick } from '#test/support/qstash.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'
import { until } from '#test/support/until.ts'

const items = 24
const kills = 4

let services: OwnServices
let worker: OwnWorker
let acme: Tenant
let there: Endpoint

beforeAll(async () => {
  services = await ownServices()
  worker = await ownWorker({ env: services.env, dir: services.dir })
  acme = await newTenant(worker.url, (request) => fetch(request))
  there = await endpoint()
})
afterAll(async () => {
  await there?.close()
  await worker?.stop()
  await services?.stop()
})

describe('a Worker that is killed again and again', () => {
  it('has every call made once, starts every child once, and tells of the end', async () => {
    there.on('/job', async ({ body }) => {
      await pause(50)
      return Response.json({ got: (JSON.parse(body) as { n: number }).n })
    })
    there.on('/told', () => new Response(null, { status: 204 }))
    const channel = await acme.fetch('/v1/channels', {
      method: 'POST',
      body: { name: 'ops', kind: 'webhook', config: { url: `${there.url}/told` } },
    })
    await json(channel, 201)
    await pipeline(
      acme,
      `parameters: { n: { type: integer } }\nsteps: [{ id: a, wait: { for: 0s } }]`,
      'child',
    )
    const list = Array.from({ length: items }, (_, i) => i)
    const id = await pipeline(
      acme,
      `
retry: { attempts: 1 }
steps:
  - id: all
    map:
      over: ${JSON.stringify(list)}
      atOnce: 6
      steps:
        - { id: ask, call: { url: "${there.url}/job", body: { n: "\${item}" } } }
        - { id: sub, pipeline: { name: child, parameters: { n: "\${outputs.ask.body.got}" } } }
  - { id: tell, after: [all], notify: { to: ops, message: "\${outputs.all.items} items" } }`,
    )
    const runId = await start(acme, id)
    const asked = () => there.at('/job').length
    for (let kill = 1; kill <= kills; kill++) {
      await until(
        `${kill} of ${kills + 1} parts`,
        async () => {
          if (asked() >= (items * kill) / (kills + 1)) return true
          await ageOutbox(services.owner, acme.id)
          await tick(services.env, worker.url)
          return false
        },
        40_000,
      )
      await worker.kill()
      await worker.restart()
    }
    await until(
      'the run to end',
      async () => {
        await ageOutbox(services.owner, acme.id)
        await tick(services.env, worker.url)
        return (await runState(services.owner, runId)) === 'succeeded' && there.at('/told').length > 0
      },
      60_000,
    )
    const numbers = there.at('/job').map(({ body }) => (JSON.parse(body) as { n: number }).n)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(list)
    const { rows } = await services.owner.query<{ n: number; state: string }>(
      `select (r.parameters->>'n')::int as n, r.state from runs r where r.parent_run_id = $1 order by 1`,
      [runId],
    )
    expect(rows).toEqual(list.map((n) => ({ n, state: 'succeeded' })))
    expect(new Set(there.at('/told').map(({ headers }) => headers.get('webhook-id'))).size).toBe(1)
    await until('the outbox to be empty', async () => {
      const { rowCount } = await services.owner.query(
        `select 1 from outbox where tenant_id = $1 and kind in ('call', 'notify')`,
        [acme.id],
      )
      return rowCount === 0
    })
    expect({ ...(await leftovers(services.owner, runId)), wakes: 0 }).toEqual(nothing)
  }, 180_000)
})
