import { describe, expect, it } from 'vitest'
import type { RunId } from '#src/domain/id.ts'
import { fileEndpoint, filePool, fileWorld } from '#test/support/per-file.ts'
import { end, pipeline, start } from '#test/support/pipeline.ts'
import { stepRow } from '#test/support/steps.ts'
import { until } from '#test/support/until.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const there = await fileEndpoint()
const owner = filePool()

const waiting = (path: string, within = '1h', attempts = 1) => `
retry: { attempts: ${attempts}, first: 1ms, jitter: false }
steps:
  - id: job
    call:
      url: "${there.url}${path}"
      method: POST
      headers: { X-Callback: "\${callback.url}" }
      body: { tell: "\${callback.url}" }
      wait: callback
      within: ${within}`

/** Starts a job whose server takes it, and gives the address that the server was told. */
async function begun(tenant: Tenant, path = `/${crypto.randomUUID()}`, within?: string) {
  there.on(path, () => new Response(null, { status: 202 }))
  const runId = await start(tenant, await pipeline(tenant, waiting(path, within)))
  const asked = await until('the job to be asked for', async () => there.at(path)[0])
  return { runId, url: (JSON.parse(asked.body) as { tell: string }).tell, asked }
}

const post = (url: string, body: unknown = {}) =>
  fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })

describe('a callback', () => {
  it('answers the step that waits for it, with its output, once', async () => {
    const { runId, url, asked } = await begun(acme)
    expect(url).toMatch(new RegExp(`^${here.url}/v1/callbacks/[\\w.-]{100,500}$`))
    expect(asked.headers.get('x-callback')).toBe(url)
    expect((await stepRow(owner, runId, 'job')).state).toBe('waiting')
    expect((await post(url, { output: { rows: [1, 2], nul: '\0' } })).status).toBe(204)
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await stepRow(owner, runId, 'job')).output).toEqual({
      status: 'succeeded',
      body: { rows: [1, 2], nul: '\ufffd' },
    })
    const again = await post(url, { output: 'other' })
    expect(again.status).toBe(409)
    expect(await again.json()).toMatchObject({
      code: 'conflict',
      detail: expect.stringContaining('used before'),
    })
  })

  it('is taken from one of many that come at once', async () => {
    const { runId, url } = await begun(acme)
    const statuses = (await Promise.all(Array.from({ length: 8 }, (_, i) => post(url, { output: i })))).map(
      ({ status }) => status,
    )
    expect(statuses.toSorted((a, b) => a - b)).toEqual([204, ...Array.from({ length: 7 }, () => 409)])
    const run = await end(acme, runId)
    expect((await stepRow(owner, run.id, 'job')).output?.['body']).toBe(statuses.indexOf(204))
  })

  it('fails the step when the job failed, in its words', async () => {
    const { runId, url } = await begun(acme)
    expect((await post(url, { status: 'failed', error: 'disk full\0' })).status).toBe(204)
    const run = await end(acme, runId)
    expect(run.state).toBe('failed')
    expect(run.steps[0]?.error).toEqual({ code: 'call_failed', message: 'disk full\ufffd' })
  })

  it('is gone after its time, and the step has failed for the want of it', async () => {
    const { runId, url } = await begun(acme, undefined, '1s')
    const run = await end(acme, runId)
    expect(run.steps[0]?.error?.code).toBe('timeout')
    const late = await post(url)
    expect(late.status).toBe(410)
    expect(await late.json()).toMatchObject({ code: 'gone' })
  })

  it('is refused when the run was cancelled meanwhile', async () => {
    const { runId, url } = await begun(acme)
    expect((await acme.fetch(`/v1/runs/${runId}/cancel`, { method: 'POST' })).status).toBe(202)
    expect((await post(url)).status).toBe(409)
    expect((await end(acme, runId)).state).toBe('cancelled')
  })

  it('is not there when its address is changed in any way, or was made for something else', async () => {
    const { runId, url } = await begun(acme)
    const { answer_key: key } = await stepRow(owner, runId, 'job')
    const address = {
      from: 'qstash',
      tenantId: acme.id,
      runId: runId as RunId,
      step: 'job',
      mapIndex: 0,
      key: key ?? '',
      expiresAtMs: Date.now() + 60_000,
    } as const
    const token = url.slice(url.lastIndexOf('/') + 1)
    const [payload = '', mac = ''] = token.split('.')
    const other = Buffer.from(
      Buffer.from(payload, 'base64url').toString().replace(acme.id, globex.id),
    ).toString('base64url')
    const forged = [
      `${payload}.${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`,
      `${other}.${mac}`,
      payload,
      `${payload}.`,
      `${token}.x`,
      'x',
      await here.services.answerTokens.sign(address),
    ]
    for (const one of forged) {
      const answer = await post(`${here.url}/v1/callbacks/${one}`, { output: 'forged' })
      expect([one, answer.status]).toEqual([one, 404])
    }
    // A good signature for another tenant reaches nothing of this one's.
    const foreign = await here.services.answerTokens.sign({
      ...address,
      from: 'callback',
      tenantId: globex.id,
    })
    expect((await post(`${here.url}/v1/callbacks/${foreign}`)).status).toBe(409)
    expect((await stepRow(owner, runId, 'job')).state).toBe('waiting')
    expect((await post(url)).status).toBe(204)
  })

  it('counts guesses by their address, and nobody elses', async () => {
    const { url } = await begun(acme)
    const statuses: number[] = []
    for (let i = 0; i < 40; i++)
      statuses.push(
        (await here.app.request(`/v1/callbacks/guess${i}`, { method: 'POST' }, { address: '203.0.113.77' }))
          .status,
      )
    expect(new Set(statuses)).toEqual(new Set([404, 429]))
    expect(statuses.indexOf(429)).toBe(30)
    const path = url.slice(here.url.length)
    const from = { address: '203.0.113.77' }
    expect((await here.app.request(path, { method: 'POST' }, from)).status).toBe(204)
  })

  it('says what is wrong with its body and can be sent again then', async () => {
    const { url } = await begun(acme)
    expect((await post(url, { status: 'done' })).status).toBe(422)
    expect((await post(url, { ouput: 1 })).status).toBe(422)
    expect((await post(url, { output: 'x'.repeat(65 * 1024) })).status).toBe(413)
    expect(
      (await fetch(url, { method: 'POST', body: 'x', headers: { 'Content-Type': 'text/plain' } })).status,
    ).toBe(415)
    expect((await post(url, { output: 'x'.repeat(60 * 1024) })).status).toBe(204)
  })
})

describe('a call that waits for a callback', () => {
  it('does not wait when the request for it failed', async () => {
    there.on('/refuses', () => new Response('no', { status: 403 }))
    const runId = await start(acme, await pipeline(acme, waiting('/refuses')))
    const run = await end(acme, runId)
    expect(run.steps[0]?.error?.code).toBe('http_refused')
  })

  it('heeds a callback that comes before the response, although that is an error', async () => {
    there.on('/early', async ({ body }) => {
      await post((JSON.parse(body) as { tell: string }).tell, { output: 'early' })
      return new Response('too late to fail', { status: 500 })
    })
    const runId = await start(acme, await pipeline(acme, waiting('/early', '1h', 3)))
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await stepRow(owner, runId, 'job')).output?.['body']).toBe('early')
    expect(there.at('/early')).toHaveLength(1)
  })

  it('gives each attempt an address of its own', async () => {
    const path = '/attempts'
    there.on(path, () => new Response(null, { status: 202 }))
    const runId = await start(acme, await pipeline(acme, waiting(path, '1h', 2)))
    const urls = () => there.at(path).map(({ body }) => (JSON.parse(body) as { tell: string }).tell)
    const first = await until('the first attempt', async () => urls()[0])
    expect((await post(first, { status: 'failed', error: 'not yet' })).status).toBe(204)
    const second = await until('the second attempt', async () => urls()[1])
    expect(second).not.toBe(first)
    expect((await post(first)).status).toBe(409)
    expect((await post(second)).status).toBe(204)
    expect((await end(acme, runId)).state).toBe('succeeded')
  })

  it('may ask nobody, and then tells its address to who may write runs', async () => {
    const id = await pipeline(acme, `steps: [{ id: job, call: { wait: callback, within: 1h } }]`)
    const runId = await start(acme, id)
    await until('the step to wait', async () => (await stepRow(owner, runId, 'job')).state === 'waiting')
    type Waiting = { steps: { waitsFor?: { callback?: { url: string } } }[] }
    const made = await acme.fetch('/v1/api-keys', {
      method: 'POST',
      body: { name: 'r', scopes: ['runs:read'] },
    })
    const { key } = (await made.json()) as { key: string }
    const asReader = await acme.fetch(`/v1/runs/${runId}`, { headers: { Authorization: `Bearer ${key}` } })
    expect(asReader.status).toBe(200)
    expect(await asReader.text()).not.toContain('/v1/callbacks/')
    const { steps } = (await (await acme.fetch(`/v1/runs/${runId}`)).json()) as Waiting
    expect((await post(steps[0]?.waitsFor?.callback?.url ?? '', { output: 'by hand' })).status).toBe(204)
    expect((await end(acme, runId)).state).toBe('succeeded')
  })

  it('is answered in every item of a map by its own address', async () => {
    const path = '/items'
    there.on(path, () => new Response(null, { status: 202 }))
    const id = await pipeline(
      acme,
      `
steps:
  - id: all
    map:
      over: [a, b, c]
      steps:
        - id: job
          call: { url: "${there.url}${path}", method: POST, wait: callback, body: { item: "\${item}", tell: "\${callback.url}" } }`,
    )
    const runId = await start(acme, id)
    const asked = await until('the three jobs', async () => there.at(path).length === 3 && there.at(path))
    for (const { body } of asked) {
      const { item, tell } = JSON.parse(body) as { item: string; tell: string }
      expect((await post(tell, { output: item.toUpperCase() })).status).toBe(204)
    }
    expect((await end(acme, runId)).state).toBe('succeeded')
    const results = (await stepRow(owner, runId, 'all')).output?.['results'] as { job: { body: string } }[]
    expect(results.map(({ job }) => job.body)).toEqual(['A', 'B', 'C'])
  })
})
