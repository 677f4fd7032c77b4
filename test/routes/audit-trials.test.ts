import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { audited } from '#test/support/audited.ts'
import { endpoint, type Endpoint } from '#test/support/endpoint.ts'
import { mortal, type Life } from '#test/support/mortal.ts'
import { client } from '#test/support/own-stack.ts'
import { connect, json } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let owner: pg.Client
let acme: Tenant
let server: Endpoint
const life: Life = { calls: Infinity }

beforeAll(async () => {
  owner = await client(inject('ownerUrl'))
  here = await world((services) => mortal(services, life))
  acme = await here.tenant()
  server = await endpoint()
})
beforeEach(() => {
  life.calls = Infinity
})
afterAll(async () => {
  await here.close()
  await server.close()
  await owner.end()
})

async function tried(path: string, who = acme) {
  const answer = await who.fetch(path, { method: 'POST', headers: { 'User-Agent': 'an auditor' } })
  return { status: answer.status, entries: await audited(owner, answer.headers.get('x-request-id')) }
}

describe('trying a connection', () => {
  it('is in the log before it is tried, and how it ended, without what it was tried with', async () => {
    const password = `hunter2-${crypto.randomUUID()}`
    const warehouse = inject('warehouse')
    const good = await connect(acme, 'postgres', 'good')
    const bad = await connect(acme, 'postgres', 'bad', { ...warehouse, password })
    const about = (id: string, name: string, result: object) => [
      { action: 'connection.check', actor: expect.stringMatching(/^key_/), target_id: id, target_name: name },
      { action: 'connection.checked', target_id: id, user_agent: 'an auditor', details: result },
    ]
    expect((await tried(`/v1/connections/${good}/check`)).entries).toMatchObject(
      about(good, 'good', { ok: true }),
    )
    const { entries } = await tried(`/v1/connections/${bad}/check`)
    expect(entries).toMatchObject(about(bad, 'bad', { ok: false, code: 'wrong_password' }))
    expect(entries[1]?.details).toEqual({ ok: false, code: 'wrong_password' })
    expect(JSON.stringify(entries)).not.toContain(password)
  })

  it('is in the log wherever the process dies: never tried without an entry, never ended without an end', async () => {
    const id = await connect(acme, 'files', 'dying')
    const seen = new Set<string>()
    for (let calls = 0; calls < 10; calls++) {
      life.calls = calls
      const { status, entries } = await tried(`/v1/connections/${id}/check`)
      seen.add(`${status === 200} ${entries.map(({ action }) => action).join()}`)
      if (status === 200) break
    }
    expect([...seen]).toContain('true connection.check,connection.checked')
    expect([...seen]).toContain('false connection.check')
    expect([...seen].every((one) => one !== 'true ' && one !== 'true connection.check')).toBe(true)
  })

  it('of somebody else’s leaves nothing there, and nothing of a thing that is none', async () => {
    const globex = await here.tenant()
    const theirs = await connect(globex, 'files')
    const { status, entries } = await tried(`/v1/connections/${theirs}/check`)
    expect([status, entries]).toEqual([404, []])
  })
})

describe('trying others', () => {
  it('a channel: the message that is sent, and whether it was taken', async () => {
    server.on('/hook', () => new Response(null, { status: 204 }))
    const { id } = await json<{ id: string }>(
      await acme.fetch('/v1/channels', {
        method: 'POST',
        body: { name: 'told', kind: 'webhook', config: { url: `${server.url}/hook` } },
      }),
      201,
    )
    expect((await tried(`/v1/channels/${id}/test`)).entries).toMatchObject([
      { action: 'channel.test', target_id: id, target_name: 'told' },
      { action: 'channel.tested', target_id: id, details: { ok: true } },
    ])
  })

  it('an identity provider', async () => {
    const { id } = await json<{ id: string }>(
      await acme.fetch('/v1/sso/providers', {
        method: 'POST',
        body: {
          name: 'none',
          issuer: server.url,
          clientId: 'c',
          clientSecret: 'hidden-one',
          roleMap: [],
          defaultRole: 'viewer',
        },
      }),
      201,
    )
    const { entries } = await tried(`/v1/sso/providers/${id}/check`)
    expect(entries).toMatchObject([
      { action: 'sso-provider.check', target_id: id, target_name: 'none' },
      { action: 'sso-provider.checked', target_id: id, details: { ok: false } },
    ])
    expect(JSON.stringify(entries)).not.toContain('hidden-one')
  })
})
