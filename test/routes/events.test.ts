import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newWebhookSecret, signEvent } from '#src/domain/webhook.ts'
import { keyFor, madeUp, paths, problem } from '#test/support/answers.ts'
import { end, json, pipeline } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let globex: Tenant
beforeAll(async () => {
  here = await world((services) => ({
    ...services,
    limits: { ...services.limits, address: { ...services.limits.address, limit: 1_000 } },
  }))
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
})
afterAll(() => here.close())

type Webhook = { id: string; url: string; secrets: { createdAt: string }[]; secret: string }
const listening = (tenant: Tenant, name?: string) =>
  pipeline(
    tenant,
    `parameters: { n: { type: integer }, note: { type: text, default: none } }
triggers: [{ webhook: true }]
steps: [{ id: one, sql: "select \${params.n} as n", into: events_in }]
`,
    name,
  )
const rotate = async (tenant: Tenant, pipelineId: string) =>
  json<Webhook>(await tenant.fetch(`/v1/pipelines/${pipelineId}/webhook`, { method: 'POST' }), 201)

type Event = { id: string; body: string; at?: Date; secret: string; signature?: string }
async function post(webhook: { id: string }, { id, body, at = new Date(), secret, signature }: Event) {
  const timestamp = String(Math.floor(at.getTime() / 1_000))
  return here.app.fetch(
    new Request(`${here.url}/v1/events/${webhook.id}`, {
      method: 'POST',
      headers: {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature ?? (await signEvent(secret, { id, timestamp, body })),
      },
      body,
    }),
    { address: '203.0.113.9', waitUntil: () => undefined },
  )
}
const runsOf = async (tenant: Tenant, pipelineId: string) =>
  (
    await json<{ items: { id: string; trigger: string; parameters: object; startedBy: string }[] }>(
      await tenant.fetch(`/v1/runs?pipelineId=${pipelineId}`),
      200,
    )
  ).items

describe('an event', () => {
  it('starts the pipeline with what it says, once, however often it comes', async () => {
    const pipelineId = await listening(acme)
    const webhook = await rotate(acme, pipelineId)
    expect(webhook.url).toBe(`${here.url}/v1/events/${webhook.id}`)
    const event = { id: 'msg_1', body: '{"n": 42}', secret: webhook.secret }
    const answers = await Promise.all([1, 2, 3].map(() => post(webhook, event)))
    const ids = await Promise.all(answers.map((answer) => json<{ runId: string }>(answer, 202)))
    expect(new Set(ids.map(({ runId }) => runId)).size).toBe(1)
    expect(answers.filter((answer) => answer.headers.get('idempotency-replayed') === 'true')).toHaveLength(2)
    expect(await runsOf(acme, pipelineId)).toMatchObject([
      { id: ids[0]?.runId, trigger: 'event', parameters: { n: 42, note: 'none' }, startedBy: 'event' },
    ])
    expect((await end(acme, ids[0]?.runId ?? '')).state).toBe('succeeded')
    await problem(await post(webhook, { ...event, body: '{"n": 43}' }), 409)
    expect(await runsOf(acme, pipelineId)).toHaveLength(1)
  })

  it('is refused without a good signature of this webhook, now', async () => {
    const pipelineId = await listening(acme)
    const webhook = await rotate(acme, pipelineId)
    const theirs = await rotate(globex, await listening(globex))
    const event = { id: 'msg_2', body: '{"n": 1}', secret: webhook.secret }
    const minutes = (n: number) => new Date(Date.now() + n * 60_000)
    for (const wrong of [
      { ...event, secret: newWebhookSecret() },
      { ...event, secret: theirs.secret },
      { ...event, at: minutes(-6) },
      { ...event, at: minutes(6) },
      { ...event, signature: '' },
      { ...event, id: 'msg.2' },
    ])
      await problem(await post(webhook, wrong), 401)
    await problem(await post({ id: madeUp(webhook.id) }, event), 401)
    await problem(await post({ id: 'trg_1' }, event), 404)
    expect(await runsOf(acme, pipelineId)).toEqual([])
    await json(await post(webhook, event), 202)
  })

  it('must fit the parameters, be JSON and not too large', async () => {
    const webhook = await rotate(acme, await listening(acme))
    const send = (id: string, body: string) => post(webhook, { id, body, secret: webhook.secret })
    expect(await paths(await send('a', '{"n": "x", "m": 1}'), 422)).toEqual(['m', 'n'])
    await problem(await send('b', '[1]'), 422)
    await problem(await send('c', '{"n":'), 400)
    await problem(await send('d', `{"n": 1, "note": "${'x'.repeat(256 * 1024)}"}`), 413)
    // What was refused may come again, corrected, under its own id.
    await json(await send('a', '{"n": 1}'), 202)
  })

  it('is signed with the newest secret or the one before, and the address outlives a new version', async () => {
    const pipelineId = await listening(acme, 'rotating')
    const secrets: Webhook[] = []
    for (let i = 0; i < 3; i++) secrets.push(await rotate(acme, pipelineId))
    const source = `apiVersion: weir/v1\nkind: Pipeline\nname: rotating\nparameters: { k: { type: text } }\ntriggers: [{ webhook: true }]\nsteps: [{ id: one, wait: { for: 1s } }]\n`
    const put = await acme.fetch(`/v1/pipelines/${pipelineId}`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/yaml', 'If-Match': '*' },
      body: source,
    })
    expect(put.status).toBe(200)
    const [webhook] = secrets
    const statuses: number[] = []
    for (const [i, { secret }] of secrets.entries())
      statuses.push(
        (await post({ id: webhook?.id ?? '' }, { id: `r${i}`, body: '{"k": "v"}', secret })).status,
      )
    expect(statuses).toEqual([401, 202, 202])
    const shown = await json<Webhook>(await acme.fetch(`/v1/pipelines/${pipelineId}/webhook`), 200)
    expect([shown.secrets.length, JSON.stringify(shown).includes('whsec_')]).toEqual([2, false])
  })

  it("has its secret made only by who may change pipelines, and not another tenant's", async () => {
    const pipelineId = await listening(acme)
    const path = `/v1/pipelines/${pipelineId}/webhook`
    await problem(await globex.fetch(path, { method: 'POST' }), 404)
    await problem(await globex.fetch(path), 404)
    await problem(await (await keyFor(acme, ['pipelines:read']))(path, { method: 'POST' }), 403)
    const plain = await pipeline(acme, 'steps: [{ id: one, wait: { for: 1s } }]\n')
    await problem(await acme.fetch(`/v1/pipelines/${plain}/webhook`, { method: 'POST' }), 404)
    const { id } = await json<Webhook>(await acme.fetch(path), 200)
    const event = { id: 'early', body: '{"n": 1}', secret: newWebhookSecret() }
    await problem(await post({ id }, event), 401)
    const { secret } = await rotate(acme, pipelineId)
    await acme.fetch(`/v1/pipelines/${pipelineId}`, { method: 'DELETE' })
    await problem(await post({ id }, { ...event, secret }), 401)
    expect(await runsOf(acme, pipelineId)).toEqual([])
  })
})
