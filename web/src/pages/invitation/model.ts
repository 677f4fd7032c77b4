import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, type Client } from '../../api.ts'
import { isId } from '../../id.ts'
import { loading, type Answered, type Load } from '../../load.ts'

export type Offer = InferResponseType<Client['v1']['invitations']['look']['$post'], 200>

const kept = 'weir-invitation'

/** The token of the link, taken out of the address and kept for this tab: signing in leads elsewhere and back. */
export function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token !== null) {
    sessionStorage.setItem(kept, token)
    history.replaceState(history.state, '', location.pathname)
  }
  return token ?? sessionStorage.getItem(kept) ?? ''
}

type Environment = { api: Client; entranceApi: Client; token: string }

export const InvitationModel = createModel(({ api, entranceApi, token }: Environment) => {
  const offer = signal<Load<Offer>>(loading)
  return {
    offer,
    async load(): Promise<void> {
      offer.value = await ask(entranceApi.v1.invitations.look.$post({ json: { token } }))
    },
    /** With the account that is signed in, and then into the tenant. */
    async join(): Promise<Answered<unknown>> {
      const joined = await ask<unknown>(api.v1.invitations.use.$post({ json: { token } }))
      const id = joined.state === 'ready' ? tenantIn(joined.value) : undefined
      if (!isId('ten', id)) return joined
      return ask<unknown>(api.v1.sessions.switch.$post({ json: { tenantId: id } }))
    },
    joinAs(account: { name: string; password: string }): Promise<Answered<unknown>> {
      return ask<unknown>(entranceApi.v1.invitations.use.$post({ json: { token, account } }))
    },
  }
})

function tenantIn(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('tenant' in answer)) return undefined
  return (answer.tenant as { id: string }).id
}
