import { hc } from 'hono/client'
import { describe, expect, it } from 'vitest'
import { entrance, password } from './entrance.ts'

describe('the typed client', () => {
  it('knows paths, inputs and answers, and only those of success', async () => {
    const door = await entrance()
    const platform = door.from()
    const client = (accessToken?: string) =>
      hc<typeof door.app>('http://weir.test', {
        fetch: (input: RequestInfo | URL, init?: RequestInit) => door.app.request(input, init, platform),
        headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` },
      })
    const email = `typed-${crypto.randomUUID()}@example.com`
    const signedUp = await client().v1['sign-up'].$post({ json: { tenantName: 'Typed', email, password } })
    const { accessToken, tenant } = await signedUp.json()
    const api = client(accessToken)
    const made = await api.v1['api-keys'].$post({ json: { name: 'typed', scopes: ['runs:read'] } })
    const { id, key } = await made.json()
    const listed = await api.v1['api-keys'].$get({ query: { limit: '1' } })
    const { items, nextCursor } = await listed.json()
    const name: string | undefined = items[0]?.name
    expect([name, nextCursor, key.slice(0, 10)]).toEqual(['typed', undefined, 'weir_live_'])
    expect((await api.v1['api-keys'][':id'].$delete({ param: { id } })).status).toBe(204)
    const me = await (await api.v1.me.$get()).json()
    expect(me.tenant).toEqual(tenant)
  })
})
