import { describe, expect, it } from 'vitest'
import { newClient } from '../../web/src/api.ts'
import { InvitationModel } from '../../web/src/pages/invitation/model.ts'

type Asked = { path: string; body: unknown }

/** A server that answers by path, and what it was asked. */
function server(answers: Record<string, { status: number; body: unknown }>) {
  const asked: Asked[] = []
  const client = newClient(async (input, init) => {
    const request = new Request(input, init)
    const { pathname: path } = new URL(request.url)
    asked.push({ path, body: JSON.parse(await request.text()) as unknown })
    const { status, body } = answers[path] ?? { status: 500, body: {} }
    return new Response(JSON.stringify(body), { status })
  }, 'http://weir.test')
  const model = new InvitationModel({ api: client, entranceApi: client, token: 'the-token' })
  return { asked, model }
}

const tenant = { id: 'ten_00000000000000000000000000', name: 'Acme' }

describe('an invitation in the console', () => {
  it('is shown by its token, which is in no address', async () => {
    const { asked, model } = server({
      '/v1/invitations/look': {
        status: 200,
        body: { tenant: { name: 'Acme' }, email: 'a@example.com', role: 'viewer', hasAccount: true },
      },
    })
    await model.load()
    expect(model.offer.value).toMatchObject({ state: 'ready', value: { tenant: { name: 'Acme' } } })
    expect(asked).toEqual([{ path: '/v1/invitations/look', body: { token: 'the-token' } }])
  })

  it('takes who is signed in into the tenant', async () => {
    const { asked, model } = server({
      '/v1/invitations/use': { status: 200, body: { tenant, role: 'viewer' } },
      '/v1/sessions/switch': { status: 201, body: { tenant } },
    })
    expect(await model.join()).toMatchObject({ state: 'ready' })
    expect(asked).toEqual([
      { path: '/v1/invitations/use', body: { token: 'the-token' } },
      { path: '/v1/sessions/switch', body: { tenantId: tenant.id } },
    ])
  })

  it('says what went wrong, and goes nowhere then', async () => {
    const problem = { status: 403, code: 'forbidden', detail: 'For another address.' }
    const { asked, model } = server({ '/v1/invitations/use': { status: 403, body: problem } })
    expect(await model.join()).toMatchObject({ state: 'failed', problem })
    expect(asked).toHaveLength(1)
  })
})
