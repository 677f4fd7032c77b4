import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, tell, type Client } from '../../api.ts'
import { loading, type Answered, type Load } from '../../load.ts'

export type Sessions = InferResponseType<Client['v1']['sessions']['$get'], 200>
export type OwnSession = Sessions['items'][number]
export type Organisations = InferResponseType<Client['v1']['me']['tenants']['$get'], 200>

/** What is a person's own: where they are signed in, how, and to which organisations they belong. */
export const AccountModel = createModel((api: Client) => {
  const { accounts } = api.v1
  const sessions = signal<Load<Sessions>>(loading)
  const organisations = signal<Load<Organisations>>(loading)

  async function loadSessions(): Promise<void> {
    sessions.value = await ask<Sessions>(api.v1.sessions.$get())
  }
  async function loadOrganisations(): Promise<void> {
    organisations.value = await ask<Organisations>(api.v1.me.tenants.$get())
  }
  /** One that is over already is as good as ended. */
  async function end(id: OwnSession['id']): Promise<Answered<true>> {
    const answer = await tell(api.v1.sessions[':id'].$delete({ param: { id } }))
    return answer.state === 'failed' && answer.problem.status === 404
      ? { state: 'ready', value: true }
      : answer
  }

  return {
    sessions,
    organisations,
    loadSessions,
    loadOrganisations,
    end,
    endOthers: () => tell(api.v1.sessions.$delete()),
    changePassword: (oldPassword: string, password: string) =>
      tell(accounts.password.$post({ json: { oldPassword, password } })),
    changeEmail: (email: string, password: string) =>
      tell(accounts.email.$post({ json: { email, password } })),
    sendVerification: () => tell(accounts.verification.$post()),
  }
})
