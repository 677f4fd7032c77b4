import { describe, expect, inject, it } from 'vitest'
import { CallRefused } from '#src/domain/call.ts'
import { fileEndpoint, filePool, fileWorld } from '#test/support/per-file.ts'
import { end, finished, json, pipeline, readRun, start } from '#test/support/pipeline.ts'
import { attempts, inject as fault, tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant } from '#test/support/world.ts'

const variables = inject('env')
const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const there = await fileEndpoint()
const owner = filePool()

const once = 'retry: { attempts: 1 }'
const called = (call: string, rest = once) => `
parameters: { name: { type: text, default: Ada } }
${rest}
steps:
  - id: ask
    call: ${call}`

async function stepOf(runId: string, key = 'ask') {
  const { rows } = await owner.query<{
    state: string
    output: Record<string, unknown> | null
    error: { code: string; message: string } | null
    answer_key: string | null
    cursor: Record<string, unknown> | null
    attempt: number
    events: number
  }>(
    `select s.state, s.output, s.error, s.answer_key, s.cursor, s.attempt,
       (select count(*)::int from run_events e where e.run_id = s.run_id) as events
     from steps s where s.run_id = $1 and s.key = $2 and s.map_index = 0`,
    [runId, key],
  )
  const [row] = rows
  if (!row) throw new Error(`there is no step ${key}`)
  return row
}
const outbox = async (kind: string) =>
  (await owner.query(`select 1 from outbox where tenant_id = $1 and kind = $2`, [acme.id, kind])).rowCount

describe('a call that waits for the response', () => {
  it('is made by QStash with what the step says, and the answer is the output', async () => {
    there.on('/hello', ({ body }) =>
      Response.json({ greeting: `Hello ${(JSON.parse(body) as { name: string }).name}`, nul: 'a\u0000b' }),
    )
    const id = await pipeline(
      acme,
      called(
        `{ url: "${there.url}/hello?a=1&b=2", method: PUT, headers: { X-Who: "\${params.name}" }, body: { name: "\${params.name}", list: [1, null] } }`,
      ),
    )
    const run = await finished(acme, id)
    expect(run.state).toBe('succeeded')
    const [asked] = there.at('/hello')
    expect(there.at('/hello')).toHaveLength(1)
    expect(asked?.method).toBe('PUT')
    expect(asked?.headers.get('x-who')).toBe('Ada')
    expect(asked?.headers.get('content-type')).toBe('application/json')
    expect(asked?.headers.get('user-agent')).toBe('Upstash-QStash')
    expect(JSON.parse(asked?.body ?? '')).toEqual({ name: 'Ada', list: [1, null] })
    expect((await stepOf(run.id)).output).toEqual({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: { greeting: 'Hello Ada', nul: 'a\ufffdb' },
    })
    expect(await outbox('call')).toBe(0)
  })

  it('shows what it gave to who may read the run, and to nobody else', async () => {
    there.on('/shown', () => Response.json({ n: 1 }))
    const run = await finished(
      acme,
      await pipeline(acme, called(`{ url: "${there.url}/shown", method: GET }`)),
    )
    const path = `/v1/runs/${run.id}/steps/ask`
    expect(await json(await acme.fetch(path), 200)).toMatchObject({
      key: 'ask',
      state: 'succeeded',
      output: { status: 200, body: { n: 1 } },
    })
    expect((await globex.fetch(path)).status).toBe(404)
    expect((await acme.fetch(`/v1/runs/${run.id}/steps/other`)).status).toBe(404)
  })

  it('gives its output to later steps', async () => {
    there.on('/number', () => Response.json({ deep: { n: 41 } }))
    there.on('/next', () => new Response('fine', { headers: { 'Content-Type': 'text/plain' } }))
    const id = await pipeline(
      acme,
      `${called(`{ url: "${there.url}/number", method: GET }`)}
  - id: then
    call: { url: "${there.url}/next", method: POST, body: { n: "\${outputs.ask.body.deep.n}" } }`,
    )
    const run = await finished(acme, id)
    expect(run.state).toBe('succeeded')
    expect(there.at('/next').map(({ body }) => body)).toEqual(['{"n":41}'])
    expect((await stepOf(run.id, 'then')).output).toMatchObject({ body: 'fine' })
  })

  it('is tried again on 503, not before Retry-After, and is made once an attempt', async () => {
    there.on('/busy', (_, nth) =>
      nth === 1
        ? new Response('later', { status: 503, headers: { 'Retry-After': '1' } })
        : Response.json(nth),
    )
    const id = await pipeline(
      acme,
      called(
        `{ url: "${there.url}/busy", method: POST }`,
        'retry: { attempts: 2, first: 1ms, backoff: constant, jitter: false }',
      ),
    )
    const began = Date.now()
    const run = await finished(acme, id)
    expect(run.state).toBe('succeeded')
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_000)
    expect(there.at('/busy')).toHaveLength(2)
    expect((await stepOf(run.id)).attempt).toBe(2)
  })

  it.each([
    [408, 'http_unavailable', 2],
    [425, 'http_unavailable', 2],
    [429, 'http_limited', 2],
    [500, 'http_unavailable', 2],
    [302, 'http_redirected', 1],
    [400, 'http_refused', 1],
    [404, 'http_refused', 1],
  ])('takes %i for %s and tries %i times', async (status, code, times) => {
    const path = `/status-${status}`
    there.on(path, () => new Response('why not', { status, headers: { Location: `${there.url}/x` } }))
    const id = await pipeline(
      acme,
      called(
        `{ url: "${there.url}${path}", method: POST }`,
        'retry: { attempts: 2, first: 1ms, jitter: false }',
      ),
    )
    const run = await finished(acme, id)
    expect(run.state).toBe('failed')
    const step = await stepOf(run.id)
    expect(step.error?.code).toBe(code)
    expect(step.error?.message).toContain(String(status))
    expect(there.at(path)).toHaveLength(times)
  })

  it('fails in words when the answer is too large, no text, or nobody answers', async () => {
    there.on('/large', () => new Response('x'.repeat(64 * 1024 + 1)))
    there.on(
      '/whole',
      () => new Response('x'.repeat(64 * 1024), { headers: { 'Content-Type': 'text/plain' } }),
    )
    there.on('/bytes', () => new Response(new Uint8Array([0xff, 0xfe, 0xfd])))
    const deep = '['.repeat(20_000) + ']'.repeat(20_000)
    there.on('/deep', () => new Response(deep, { headers: { 'Content-Type': 'application/json' } }))
    const runs = await Promise.all(
      ['/large', '/whole', '/bytes', '/deep'].map(async (path) =>
        finished(acme, await pipeline(acme, called(`{ url: "${there.url}${path}", method: GET }`))),
      ),
    )
    const nobody = await finished(
      acme,
      await pipeline(acme, called(`{ url: "http://127.0.0.1:9/", method: GET }`)),
    )
    const steps = await Promise.all([...runs, nobody].map((run) => stepOf(run.id)))
    expect(steps.map(({ error }) => error?.code)).toEqual([
      'answer_too_large',
      undefined,
      'answer_not_text',
      'answer_too_deep',
      'unreachable',
    ])
    expect(steps[1]?.output?.['body']).toBe('x'.repeat(64 * 1024))
  })

  it('gives up after its deadline, tries again, and heeds no late answer', async () => {
    let release: (() => void) | undefined
    there.on('/slow', async (_, nth) => {
      if (nth === 1) await new Promise<void>((resolve) => (release = resolve))
      return Response.json({ nth })
    })
    const id = await pipeline(
      acme,
      called(
        `{ url: "${there.url}/slow", method: POST, within: 1s }`,
        'retry: { attempts: 2, first: 1ms, jitter: false }',
      ),
    )
    const run = await finished(acme, id)
    expect(run.state).toBe('succeeded')
    expect((await stepOf(run.id)).output).toMatchObject({ body: { nth: 2 } })
    const before = await stepOf(run.id)
    release?.()
    await until('the late answers to be delivered', async () => {
      const told = await attempts(variables, `${here.url}/jobs/answer`)
      return told.length > 1
    })
    expect(await stepOf(run.id)).toEqual(before)
  })

  it('takes an answer that comes three times once', async () => {
    there.on('/thrice', () => Response.json('ok'))
    const armed = await fault(
      variables,
      `${here.url}/jobs/answer`,
      { kind: 'duplicate', copies: 2 },
      { times: 1 },
    )
    const id = await pipeline(acme, called(`{ url: "${there.url}/thrice", method: POST }`))
    const run = await finished(acme, id)
    expect(run.state).toBe('succeeded')
    expect(await armed.struck()).toBe(1)
    await armed.undo()
    const { rows } = await owner.query<{ type: string }>(
      `select type from run_events where run_id = $1 and step_key = 'ask' order by seq`,
      [run.id],
    )
    expect(rows.map(({ type }) => type)).toEqual([
      'step.running',
      'step.waiting',
      'step.running',
      'step.succeeded',
    ])
  })

  it('is made by the next tick when the Worker died between its commit and the publishing, and only once', async () => {
    const lost = await world((services) => ({
      ...services,
      request: () => Promise.reject(new TypeError('the Worker is dead')),
    }))
    try {
      const tenant = await lost.tenant()
      there.on('/after-death', () => Response.json('made'))
      const id = await pipeline(tenant, called(`{ url: "${there.url}/after-death", method: POST }`))
      const runId = await start(tenant, id)
      await until('the step to wait', async () => (await stepOf(runId)).state === 'waiting')
      expect(there.at('/after-death')).toHaveLength(0)
      await owner.query(`update outbox set send_after = now() where tenant_id = $1 and kind = 'call'`, [
        tenant.id,
      ])
      // A living Worker's tick; both have the same database and queue.
      await tick(variables, here.url)
      await owner.query(`update outbox set send_after = now() where tenant_id = $1 and kind = 'call'`, [
        tenant.id,
      ])
      await tick(variables, here.url)
      expect((await end(tenant, runId)).state).toBe('succeeded')
      expect(there.at('/after-death')).toHaveLength(1)
    } finally {
      await lost.close()
    }
  })

  it('is woken by the next tick when the Worker died between storing the answer and waking the run', async () => {
    let isDead = false
    const dying = await world((services) => ({
      ...services,
      send: (tenantId, messages) => (isDead ? Promise.resolve() : services.send(tenantId, messages)),
    }))
    try {
      const tenant = await dying.tenant()
      there.on('/answered', () => {
        isDead = true
        return Response.json('stored')
      })
      const id = await pipeline(tenant, called(`{ url: "${there.url}/answered", method: POST }`))
      const runId = await start(tenant, id)
      await until(
        'the answer',
        async () => (await stepOf(runId)).state === 'ready' && there.at('/answered')[0],
      )
      await owner.query(`update outbox set send_after = now() where tenant_id = $1 and not_before is null`, [
        tenant.id,
      ])
      await tick(variables, here.url)
      isDead = false
      expect((await end(tenant, runId)).state).toBe('succeeded')
    } finally {
      await dying.close()
    }
  })

  it('is handed over twice and made once when the outbox could not be emptied', async () => {
    let calls = 0
    const doubled = await world((services) => ({
      ...services,
      request: async (tenantId, request) => {
        calls++
        await services.request(tenantId, request)
        if (calls === 1) throw new TypeError('killed after the publishing')
      },
    }))
    try {
      const tenant = await doubled.tenant()
      there.on('/twice', () => Response.json('made'))
      const id = await pipeline(tenant, called(`{ url: "${there.url}/twice", method: POST }`))
      const run = await finished(tenant, id)
      expect(run.state).toBe('succeeded')
      await owner.query(`update outbox set send_after = now() where tenant_id = $1 and kind = 'call'`, [
        tenant.id,
      ])
      await tick(variables, doubled.url)
      await until('the second handing over', async () => calls === 2)
      await until('the outbox to be empty', async () => {
        const left = await owner.query(`select 1 from outbox where tenant_id = $1 and kind = 'call'`, [
          tenant.id,
        ])
        return left.rowCount === 0
      })
      expect(there.at('/twice')).toHaveLength(1)
    } finally {
      await doubled.close()
    }
  })

  it('fails in words when QStash will not make the request', async () => {
    const refusing = await world((services) => ({
      ...services,
      request: () => Promise.reject(new CallRefused('400')),
    }))
    try {
      const tenant = await refusing.tenant()
      const id = await pipeline(tenant, called(`{ url: "${there.url}/refused", method: POST }`))
      const run = await finished(tenant, id)
      expect(run.steps[0]?.error?.code).toBe('call_refused')
    } finally {
      await refusing.close()
    }
  })
})

describe('whom a call may ask', () => {
  it.each([
    ['http://169.254.169.254/latest/meta-data', 'bad_url'],
    ['https://169.254.169.254/latest/meta-data', 'private_address'],
    ['https://[::1]/', 'private_address'],
    ['https://0x7f.1/', 'private_address'],
    ['https://metadata.google.internal/', 'private_address'],
    ['https://user:secret@example.com/', 'bad_url'],
    ['ftp://example.com/', 'bad_url'],
  ])('refuses %s', async (url, code) => {
    const strict = await world((services) => ({ ...services, allowPrivateHosts: false }))
    try {
      const tenant = await strict.tenant()
      const id = await pipeline(
        tenant,
        `parameters: { url: { type: text, default: "${url}" } }
${once}
steps: [{ id: ask, call: { url: "\${params.url}", method: GET } }]`,
      )
      const run = await finished(tenant, id)
      expect(run.steps[0]?.error?.code).toBe(code)
    } finally {
      await strict.close()
    }
  })

  it('never asks Weir itself, whose jobs QStash would sign', async () => {
    const victim = { tenantId: globex.id, runId: 'run_00000000000000000000000000' }
    for (const host of [here.url, here.url.replace('127.0.0.1', '0x7f.1')]) {
      const id = await pipeline(
        acme,
        called(`{ url: "${host}/jobs/run", method: POST, body: ${JSON.stringify(victim)} }`),
      )
      expect((await finished(acme, id)).steps[0]?.error?.code).toBe('own_host')
    }
  })

  it.each(['Upstash-Callback', 'upstash-forward-x', 'Host', 'Content-Length'])(
    'takes no header %s',
    async (name) => {
      const refused = await acme.fetch('/v1/pipelines', {
        method: 'POST',
        body: {
          apiVersion: 'weir/v1',
          kind: 'Pipeline',
          name: 'headers',
          steps: [{ id: 'ask', call: { url: `${there.url}/never`, headers: { [name]: 'x' } } }],
        },
      })
      expect(refused.status).toBe(422)
      expect(await refused.text()).toContain(`call.headers.${name}`)
    },
  )

  it('lets no answer in that QStash did not sign, and none of another token', async () => {
    there.on('/hold', () => new Promise<Response>(() => undefined))
    const id = await pipeline(acme, called(`{ url: "${there.url}/hold", method: POST }`))
    const runId = await start(acme, id)
    await until('the step to wait', async () => (await stepOf(runId)).state === 'waiting')
    const { answer_key: key } = await stepOf(runId)
    const sign = (from: 'qstash' | 'callback', tenantId: Tenant['id']) =>
      here.services.answerTokens.sign({
        from,
        tenantId,
        runId: runId as never,
        step: 'ask',
        mapIndex: 0,
        key: key ?? '',
        expiresAtMs: Date.now() + 60_000,
      })
    const body = JSON.stringify({ status: 200, body: btoa('"forged"') })
    const unsigned = await fetch(`${here.url}/jobs/answer?token=${await sign('qstash', acme.id)}`, {
      method: 'POST',
      body,
    })
    expect(unsigned.status).toBe(401)
    const publish = async (token: string) => {
      const published = await fetch(
        `${variables['QSTASH_URL']}/v2/publish/${here.url}/jobs/answer?token=${token}`,
        {
          method: 'POST',
          headers: {
            Authorization: `Bearer ${variables['QSTASH_TOKEN']}`,
            'Content-Type': 'application/json',
          },
          body,
        },
      )
      expect(published.status).toBe(200)
    }
    await publish(await sign('qstash', globex.id))
    await publish(await sign('callback', acme.id))
    await publish(`${await sign('qstash', acme.id)}x`)
    await until('the forged answers to be delivered', async () => {
      const told = await attempts(variables, `${here.url}/jobs/answer`)
      return told.filter(({ payload }) => payload['body'] === btoa('"forged"')).length === 3
    })
    expect((await stepOf(runId)).state).toBe('waiting')
    await publish(await sign('qstash', acme.id))
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await readRun(acme, runId)).steps).toHaveLength(1)
  })
})
