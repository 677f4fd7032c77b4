import { describe, expect, inject, it } from 'vitest'
import { isSignedBy } from '#src/domain/webhook.ts'
import type { Asked } from '#test/support/endpoint.ts'
import { fileEndpoint, filePool, fileWorld } from '#test/support/per-file.ts'
import { finished, json, pipeline } from '#test/support/pipeline.ts'
import { tick } from '#test/support/qstash.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant } from '#test/support/world.ts'

const variables = inject('env')
const here = await fileWorld()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])
const there = await fileEndpoint()
const owner = filePool()

type ChannelJson = {
  id: string
  name: string
  failure?: { code: string }
  disabledAt?: string
  secret?: { signingSecret: string }
}
const fresh = () => `c-${crypto.randomUUID().slice(0, 8)}`
const made = async (tenant: Tenant, body: Record<string, unknown>) =>
  json<ChannelJson>(
    await tenant.fetch('/v1/channels', { method: 'POST', body: { name: fresh(), ...body } }),
    201,
  )
const read = async (id: string) => json<ChannelJson>(await acme.fetch(`/v1/channels/${id}`), 200)
const webhook = (path: string) => ({ kind: 'webhook', config: { url: `${there.url}${path}` } })
const tried = async (id: string) =>
  json<{ ok: boolean; code?: string; detail: string }>(
    await acme.fetch(`/v1/channels/${id}/test`, { method: 'POST' }),
    200,
  )
const signedBy = (secret: string | undefined, { headers, body }: Asked) =>
  isSignedBy([secret ?? ''], {
    id: headers.get('webhook-id') ?? '',
    timestamp: headers.get('webhook-timestamp') ?? '',
    signature: headers.get('webhook-signature') ?? '',
    body,
  })
const told = (path: string) => until(`a message at ${path}`, async () => there.at(path)[0])
const notifying = (to: string, message = 'Day ${params.day}: ${outputs.a.rowsOut} rows <!channel>') => `
parameters: { day: { type: date, default: "2024-02-29" } }
steps:
  - { id: a, sql: "select 1 as n", into: counted }
  - { id: tell, after: [a], notify: { to: ${to}, message: ${JSON.stringify(message)} } }`
const outboxOf = async (tenant: Tenant) =>
  (await owner.query(`select 1 from outbox where tenant_id = $1 and kind = 'notify'`, [tenant.id])).rowCount

describe('a channel', () => {
  it('is made, read, changed and deleted, and shows its secret once', async () => {
    const channel = await made(acme, webhook('/x'))
    expect(channel.secret?.signingSecret).toMatch(/^whsec_/)
    const answer = await acme.fetch(`/v1/channels/${channel.id}`)
    const etag = answer.headers.get('etag') ?? ''
    expect(await answer.json()).not.toHaveProperty('secret')
    const list = await json<{ items: ChannelJson[] }>(await acme.fetch('/v1/channels'), 200)
    expect(list.items.find(({ id }) => id === channel.id)).not.toHaveProperty('secret')
    const patch = (match: string) =>
      acme.fetch(`/v1/channels/${channel.id}`, {
        method: 'PATCH',
        headers: { 'If-Match': match },
        body: { config: { url: `${there.url}/y` } },
      })
    expect((await patch('"v99"')).status).toBe(412)
    expect(await json(await patch(etag), 200)).toMatchObject({ config: { url: `${there.url}/y` } })
    expect((await patch(etag)).status).toBe(412)
    expect((await acme.fetch(`/v1/channels/${channel.id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await acme.fetch(`/v1/channels/${channel.id}`)).status).toBe(404)
  })

  it('has a name of its own and a form by its kind', async () => {
    const name = fresh()
    await made(acme, { name, ...webhook('/x') })
    const post = (body: unknown) => acme.fetch('/v1/channels', { method: 'POST', body })
    expect((await post({ name, ...webhook('/x') })).status).toBe(409)
    await made(globex, { name, ...webhook('/x') })
    for (const wrong of [
      { name: fresh(), kind: 'webhook', config: {} },
      { name: fresh(), kind: 'webhook', config: { url: 'ftp://x.example/' } },
      { name: fresh(), kind: 'slack', config: {} },
      {
        name: fresh(),
        kind: 'email',
        config: { url: there.url, from: 'a@example.com', to: ['b'] },
        secret: { key: 'k' },
      },
      { name: fresh(), kind: 'sms', config: {} },
    ])
      expect([wrong, (await post(wrong)).status]).toEqual([wrong, 422])
  })

  it('is out of reach for another tenant', async () => {
    const { id } = await made(acme, webhook('/x'))
    const asked = await Promise.all([
      globex.fetch(`/v1/channels/${id}`),
      globex.fetch(`/v1/channels/${id}`, { method: 'DELETE' }),
      globex.fetch(`/v1/channels/${id}`, {
        method: 'PATCH',
        headers: { 'If-Match': '*' },
        body: { name: 'mine' },
      }),
      globex.fetch(`/v1/channels/${id}/test`, { method: 'POST' }),
    ])
    expect(asked.map(({ status }) => status)).toEqual([404, 404, 404, 404])
    expect(await read(id)).toMatchObject({ id })
  })

  it('does not take its key to another place', async () => {
    const { id } = await made(acme, {
      kind: 'email',
      config: { url: `${there.url}/mail`, from: 'a@example.com', to: ['b@example.com'] },
      secret: { key: 'secret-key' },
    })
    const patch = (body: unknown) =>
      acme.fetch(`/v1/channels/${id}`, { method: 'PATCH', headers: { 'If-Match': '*' }, body })
    expect((await patch({ config: { url: `${there.url}/thief` } })).status).toBe(422)
    expect((await patch({ config: { url: `${there.url}/new` }, secret: { key: 'other' } })).status).toBe(200)
    there.on('/new', () => Response.json({ id: 'm1' }))
    expect(await tried(id)).toMatchObject({ ok: true })
    expect((await told('/new')).headers.get('authorization')).toBe('Bearer other')
  })

  it('can be tried, and says what is wrong', async () => {
    there.on('/fine', () => new Response(null, { status: 204 }))
    there.on('/angry', () => new Response('no', { status: 403 }))
    there.on('/moved', () => new Response(null, { status: 307, headers: { Location: `${there.url}/fine` } }))
    const fine = await made(acme, webhook('/fine'))
    expect(await tried(fine.id)).toMatchObject({ ok: true })
    const [asked] = there.at('/fine')
    expect(asked && (await signedBy(fine.secret?.signingSecret, asked))).toBe(true)
    expect(asked && (await signedBy((await made(acme, webhook('/z'))).secret?.signingSecret, asked))).toBe(
      false,
    )
    expect(JSON.parse(asked?.body ?? '')).toMatchObject({ type: 'channel.test' })
    expect(await tried((await made(acme, webhook('/angry'))).id)).toMatchObject({
      ok: false,
      code: 'http_refused',
    })
    expect(await tried((await made(acme, webhook('/moved'))).id)).toMatchObject({
      ok: false,
      code: 'http_redirected',
    })
    expect(there.at('/fine')).toHaveLength(1)
    const own = await made(acme, { kind: 'webhook', config: { url: `${here.url}/jobs/tick` } })
    expect(await tried(own.id)).toMatchObject({ ok: false, code: 'own_host' })
    const strict = await world((services) => ({ ...services, allowPrivateHosts: false }))
    try {
      const tenant = await strict.tenant()
      const channel = await made(tenant, { kind: 'webhook', config: { url: 'https://169.254.169.254/' } })
      const answer = await tenant.fetch(`/v1/channels/${channel.id}/test`, { method: 'POST' })
      expect(await answer.json()).toMatchObject({ ok: false, code: 'private_address' })
    } finally {
      await strict.close()
    }
  })
})

describe('a notify step', () => {
  it('tells a webhook, signed, a Slack channel and people by mail', async () => {
    for (const path of ['/hook', '/slack', '/mail-api']) there.on(path, () => new Response('ok'))
    const hook = await made(acme, webhook('/hook'))
    const slack = await made(acme, { kind: 'slack', secret: { url: `${there.url}/slack` } })
    const mail = await made(acme, {
      kind: 'email',
      config: { url: `${there.url}/mail-api`, from: 'Weir <weir@example.com>', to: ['ops@example.com'] },
      secret: { key: 'k' },
    })
    for (const { name } of [hook, slack, mail]) {
      const run = await finished(acme, await pipeline(acme, notifying(name)))
      expect(run.state).toBe('succeeded')
    }
    const text = 'Day 2024-02-29: 1 rows <!channel>'
    const atHook = await told('/hook')
    expect(await signedBy(hook.secret?.signingSecret, atHook)).toBe(true)
    expect(JSON.parse(atHook.body)).toMatchObject({
      type: 'run.message',
      data: { subject: text, runId: expect.stringMatching(/^run_/), step: 'tell' },
    })
    expect(JSON.parse((await told('/slack')).body)).toEqual({
      text: 'Day 2024-02-29: 1 rows &lt;!channel&gt;',
    })
    const atMail = await told('/mail-api')
    expect(atMail.headers.get('authorization')).toBe('Bearer k')
    expect(JSON.parse(atMail.body)).toMatchObject({
      from: 'Weir <weir@example.com>',
      to: ['ops@example.com'],
      subject: text,
    })
    await until('the outbox to be empty', async () => (await outboxOf(acme)) === 0)
  })

  it('succeeds when its message is in the outbox; the next tick sends what a dead Worker did not', async () => {
    there.on('/dead', () => new Response('ok'))
    const silent = await world((services) => ({
      ...services,
      send: (tenantId, messages) =>
        services.send(
          tenantId,
          messages.filter(({ job }) => job !== 'notify'),
        ),
    }))
    try {
      const tenant = await silent.tenant()
      const { name } = await made(tenant, webhook('/dead'))
      expect((await finished(tenant, await pipeline(tenant, notifying(name)))).state).toBe('succeeded')
      expect(there.at('/dead')).toHaveLength(0)
      await owner.query(`update outbox set send_after = now() where tenant_id = $1`, [tenant.id])
      await tick(variables, here.url)
      await told('/dead')
      await until('the outbox to be empty', async () => (await outboxOf(tenant)) === 0)
    } finally {
      await silent.close()
    }
  })

  it('is sent again under the same id until it is taken, signed anew each time', async () => {
    there.on('/tired', (_, nth) => new Response(null, { status: nth < 3 ? 503 : 200 }))
    const { id, name, secret } = await made(acme, webhook('/tired'))
    expect((await finished(acme, await pipeline(acme, notifying(name)))).state).toBe('succeeded')
    await until('three attempts', async () => there.at('/tired').length === 3)
    const asked = there.at('/tired')
    expect(new Set(asked.map(({ headers }) => headers.get('webhook-id'))).size).toBe(1)
    for (const one of asked) expect(await signedBy(secret?.signingSecret, one)).toBe(true)
    await until('the failure to be forgotten', async () => (await read(id)).failure === undefined)
    await until('the outbox to be empty', async () => (await outboxOf(acme)) === 0)
  })

  it('notes on its channel what cannot arrive, and stops where nobody wants any more', async () => {
    there.on('/never', () => new Response(null, { status: 404 }))
    there.on('/gone', () => new Response(null, { status: 410 }))
    const never = await made(acme, webhook('/never'))
    const gone = await made(acme, webhook('/gone'))
    for (const { name } of [never, gone, gone])
      expect((await finished(acme, await pipeline(acme, notifying(name)))).state).toBe('succeeded')
    const failed = await until('the failure', async () => {
      const channel = await read(never.id)
      return channel.failure && channel
    })
    expect(failed).toMatchObject({ failure: { code: 'http_refused' } })
    expect(failed.disabledAt).toBeUndefined()
    const disabled = await until('the channel to be disabled', async () => {
      const channel = await read(gone.id)
      return channel.disabledAt !== undefined && channel
    })
    expect(disabled.failure).toMatchObject({ code: 'gone' })
    await until('the outbox to be empty', async () => (await outboxOf(acme)) === 0)
    const before = there.at('/gone').length
    expect((await finished(acme, await pipeline(acme, notifying(gone.name)))).state).toBe('succeeded')
    await until('the outbox to be empty again', async () => (await outboxOf(acme)) === 0)
    expect(there.at('/gone')).toHaveLength(before)
    const patched = await acme.fetch(`/v1/channels/${gone.id}`, {
      method: 'PATCH',
      headers: { 'If-Match': '*' },
      body: { config: { url: `${there.url}/gone` } },
    })
    expect(await patched.json()).not.toHaveProperty('disabledAt')
  })

  it('fails in words when there is no such channel, or the message is too long', async () => {
    const { name } = await made(globex, webhook('/theirs'))
    const run = await finished(acme, await pipeline(acme, notifying(name)))
    expect(run.steps[1]?.error?.code).toBe('no_channel')
    const own = await made(acme, webhook('/x'))
    const long = await finished(acme, await pipeline(acme, notifying(own.name, 'x'.repeat(5_000))))
    expect(long.steps[1]?.error?.code).toBe('message_too_long')
  })
})
