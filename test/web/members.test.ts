import { describe, expect, it } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { AccountModel } from '../../web/src/pages/account/model.ts'
import { MembersModel } from '../../web/src/pages/members/model.ts'
import { givable, readRoles, roleName, roleWords } from '../../web/src/roles.ts'
import { answers, origin, problem } from './answers.ts'

const member = (id: string, role = 'viewer') => ({
  id,
  email: `${id}@example.com`,
  role,
  joinedAt: '2026-01-01T00:00:00.000Z',
})
const invitation = { id: 'inv_1', email: 'new@example.com', role: 'viewer', sentAt: '1', expiresAt: '2' }

function members({ refuse = false } = {}) {
  const server = answers(({ method, path }) => {
    if (refuse && method !== 'GET') return problem(403, 'forbidden')
    if (method === 'DELETE') return { status: 204 }
    if (method === 'PATCH') return { body: member('usr_1', 'admin') }
    if (path.endsWith('/resend')) return { body: { ...invitation, sentAt: '9' } }
    if (path === '/v1/invitations') return { body: { items: [invitation] } }
    return { body: { items: [member('usr_1'), member('usr_2')] } }
  })
  return { server, model: new MembersModel(newClient(server.fetch, origin), () => false) }
}

const shown = <T>(list: { list: { value: { state: string } } }): T[] =>
  (list.list.value as { value?: { items: T[] } }).value?.items ?? []

describe('the members', () => {
  it('show a change that was made, and who is gone no more, without being read again', async () => {
    const { model, server } = members()
    await model.load()
    expect(server.paths().sort()).toEqual(['GET /v1/invitations?state=open', 'GET /v1/members'])
    await model.changeRole('usr_1', 'admin')
    expect(shown(model.members)).toMatchObject([{ role: 'admin' }, { role: 'viewer' }])
    await model.remove('usr_1')
    expect(shown(model.members)).toMatchObject([{ id: 'usr_2' }])
    await model.resend('inv_1')
    expect(shown(model.invitations)).toMatchObject([{ sentAt: '9' }])
    await model.revoke('inv_1')
    expect(shown(model.invitations)).toEqual([])
    expect(server.paths().filter((path) => path === 'GET /v1/members')).toHaveLength(1)
  })

  it('stay as they are when a change is refused', async () => {
    const { model } = members({ refuse: true })
    await model.load()
    expect(await model.remove('usr_1')).toMatchObject({ state: 'failed', problem: { status: 403 } })
    await model.changeRole('usr_1', 'admin')
    await model.revoke('inv_1')
    expect(shown(model.members)).toHaveLength(2)
    expect(shown(model.members)).toMatchObject([{ role: 'viewer' }, {}])
    expect(shown(model.invitations)).toHaveLength(1)
  })
})

describe('the roles', () => {
  const own = { id: 'rol_1', name: 'Auditors', permissions: ['audit:read'] } as const

  it('are offered as far as one may do all of it oneself', () => {
    const all = [own, { id: 'owner', name: 'owner', permissions: ['tenant:write'] }] as const
    expect(givable(all, ['audit:read']).map(({ id }) => id)).toEqual(['rol_1'])
  })

  it('are those that come with Weir where one may not ask for others, or gets no answer', async () => {
    const server = answers(() => problem(503, 'unavailable'))
    const api = newClient(server.fetch, origin)
    const known = ['owner', 'admin', 'developer', 'analyst', 'operator', 'viewer', 'guest']
    expect((await readRoles(api, false)).map(({ id }) => id)).toEqual(known)
    expect(server.asked).toEqual([])
    expect((await readRoles(api, true)).map(({ id }) => id)).toEqual(known)
  })

  it('have a name, and words for what they are for', () => {
    expect([roleName([own], 'rol_1'), roleName([own], 'rol_2')]).toEqual(['Auditors', 'rol_2'])
    expect([roleWords(own), roleWords({ id: 'viewer', name: 'viewer' })]).toEqual([
      'Auditors',
      'viewer: only reads',
    ])
  })
})

describe('one’s sessions', () => {
  const end = (status: number) =>
    new AccountModel(newClient(answers(() => problem(status, 'x')).fetch, origin)).end('ses_1')

  it('are ended when they are over already, and not when that fails', async () => {
    expect(await end(404)).toEqual({ state: 'ready', value: true })
    expect(await end(503)).toMatchObject({ state: 'failed', problem: { status: 503 } })
  })
})
