import { describe, expect, it } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { KeysModel, type Key, type Whose } from '../../web/src/pages/keys/model.ts'
import { NewKeyModel } from '../../web/src/pages/new-key/model.ts'
import { presets, scopeRows } from '../../web/src/pages/new-key/scope-rows.ts'
import { answers, origin, problem } from './answers.ts'

const key = {
  name: 'nightly',
  hint: 'weir_live_abc',
  scopes: ['runs:read'],
  createdBy: 'usr_me',
  createdAt: '2026-01-01T00:00:00.000Z',
}
const mine: Key = { ...key, id: 'key_3', userId: 'usr_me' }
const theirs: Key = { ...key, id: 'key_2', userId: 'usr_other' }
const machines: Key = { ...key, id: 'key_1', serviceAccountId: 'sac_1' }

function keysOf(whose: Whose, allowed: readonly string[]) {
  const server = answers(({ method, path }) => {
    if (method === 'DELETE') return { status: 204 }
    if (path.endsWith('/rotate'))
      return { status: 201, body: { ...machines, id: 'key_4', key: 'weir_live_text' } }
    if (path === '/v1/members') return { body: { items: [{ id: 'usr_other', email: 'other@example.com' }] } }
    if (path === '/v1/projects') return problem(503, 'unavailable')
    if (path === '/v1/service-accounts') return { body: { items: [{ id: 'sac_1', name: 'loader' }] } }
    return { body: { items: whose === 'mine' ? [mine] : [mine, theirs, machines] } }
  })
  const model = new KeysModel({
    api: newClient(server.fetch, origin),
    may: (wanted) => allowed.includes(wanted),
    userId: 'usr_me',
    whose,
  })
  return { model, server }
}

const shownIds = ({ keys }: InstanceType<typeof KeysModel>) =>
  keys.list.value.state === 'ready' ? keys.list.value.value.items.map(({ id }) => id) : []

describe('the keys', () => {
  it('are one’s own without any permission, and nothing else is asked for', async () => {
    const { model, server } = keysOf('mine', [])
    await model.load()
    expect(server.paths()).toEqual(['GET /v1/me/api-keys'])
    expect([model.canRotate(mine), model.canRevoke(mine)]).toEqual([true, true])
    await model.revoke(mine)
    expect(server.paths().at(-1)).toBe('DELETE /v1/me/api-keys/key_3')
    expect(shownIds(model)).toEqual([])
  })

  it('of others are revoked by who may, and rotated only where nobody would be impersonated', async () => {
    const { model, server } = keysOf('all', [
      'api-keys:read',
      'api-keys:write',
      'members:read',
      'projects:read',
    ])
    await model.load()
    expect(Object.fromEntries(model.names.value)).toEqual({ usr_other: 'other@example.com', sac_1: 'loader' })
    const [own, another, machine] = [mine, theirs, machines].map((one) => [
      model.canRotate(one),
      model.canRevoke(one),
    ])
    expect({ own, another, machine }).toEqual({
      own: [true, true],
      another: [false, true],
      machine: [true, true],
    })
    await model.revoke(theirs)
    expect(server.paths().at(-1)).toBe('DELETE /v1/api-keys/key_2')
    expect(shownIds(model)).toEqual(['key_3', 'key_1'])
  })

  it('are only looked at by who may only look', () => {
    const { model } = keysOf('all', ['api-keys:read'])
    expect([model.canRotate(machines), model.canRevoke(theirs)]).toEqual([false, false])
    expect(model.canRotate({ ...mine, replacedBy: 'key_9' })).toBe(false)
  })

  it('show a new text once, after they were rotated', async () => {
    const { model, server } = keysOf('sac_1', ['api-keys:read', 'api-keys:write'])
    await model.load()
    expect(server.paths()).toContain('GET /v1/api-keys?serviceAccountId=sac_1')
    const answer = await model.rotate(machines, 3_600_000)
    expect(answer).toMatchObject({ state: 'ready' })
    expect(server.asked.find(({ path }) => path === '/v1/api-keys/key_1/rotate')?.body).toBe(
      '{"overlapMs":3600000}',
    )
    expect(model.made.value?.key).toBe('weir_live_text')
    expect(shownIds(model)).toContain('key_1')
    await model.rotate(machines, 0)
    expect(server.asked.filter(({ path }) => path === '/v1/api-keys/key_1/rotate')).toHaveLength(2)
  })
})

describe('a new key', () => {
  const form = { name: 'k', owner: '', project: '', expires: 'never', day: '', addresses: '' }
  function newKey() {
    const server = answers(() => ({ status: 201, body: { ...mine, key: 'weir_live_text' } }))
    const now = () => new Date('2026-03-01T10:00:00Z')
    const model = new NewKeyModel({ api: newClient(server.fetch, origin), may: () => false, now })
    const sent = () => JSON.parse(server.asked.at(-1)?.body ?? '{}') as Record<string, unknown>
    return { model, server, sent }
  }

  it('says only what was filled in', async () => {
    const { model, server, sent } = newKey()
    model.toggle('runs:read')
    model.toggle('runs:write')
    model.toggle('runs:write')
    await model.make(form)
    expect(server.paths()).toEqual(['POST /v1/me/api-keys'])
    expect(sent()).toEqual({ name: 'k', scopes: ['runs:read'] })
    expect(model.made.value?.key).toBe('weir_live_text')
  })

  it('takes an end in days or as a day, a project, addresses and a service account', async () => {
    const { model, server, sent } = newKey()
    await model.make({
      ...form,
      owner: 'sac_1',
      project: 'prj_1',
      expires: '30',
      addresses: ' 10.0.0.1\n10.1.0.0/16, ',
    })
    expect(server.paths()).toEqual(['POST /v1/api-keys'])
    expect(sent()).toEqual({
      name: 'k',
      scopes: [],
      expiresAt: '2026-03-31T10:00:00.000Z',
      projectId: 'prj_1',
      ipAllow: ['10.0.0.1', '10.1.0.0/16'],
      serviceAccountId: 'sac_1',
    })
    await model.make({ ...form, expires: 'day', day: '2026-05-02' })
    expect(sent()['expiresAt']).toBe(new Date('2026-05-02T23:59:59').toISOString())
  })

  it('offers what its maker may do, and nothing more', () => {
    expect(scopeRows(['runs:read', 'runs:write', 'limits:write'])).toEqual([
      { name: 'Runs', read: 'runs:read', write: 'runs:write' },
      { name: 'Limits', write: 'limits:write' },
    ])
    const own = ['runs:read', 'runs:write', 'pipelines:write', 'audit:read'] as const
    const chosen = Object.fromEntries(presets.map(({ name, fits }) => [name, own.filter(fits)]))
    expect(chosen).toEqual({
      'Only read': ['runs:read'],
      'Read and run': ['runs:read', 'runs:write'],
      'Build and run': ['runs:read', 'runs:write', 'pipelines:write'],
      'All that I may do': own,
      None: [],
    })
  })
})
