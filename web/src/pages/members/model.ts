import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { Permission } from '#src/domain/role.ts'
import { ask, tell, type Client } from '../../api.ts'
import { listModel } from '../../list.ts'
import { readRoles, type RoleChoice } from '../../roles.ts'

export type Member = InferResponseType<Client['v1']['members']['$get'], 200>['items'][number]
export type Invitation = InferResponseType<Client['v1']['invitations']['$get'], 200>['items'][number]

/** The people of the organisation, and those that are invited. */
export const MembersModel = createModel((api: Client, may: (wanted: Permission) => boolean) => {
  const roles = signal<readonly RoleChoice[]>([])
  const members = listModel((cursor) =>
    ask(api.v1.members.$get({ query: cursor === undefined ? {} : { cursor } })),
  )
  const invitations = listModel((cursor) =>
    ask(
      api.v1.invitations.$get({
        query: cursor === undefined ? { state: 'open' } : { state: 'open', cursor },
      }),
    ),
  )

  return {
    roles,
    members,
    invitations,
    async load(): Promise<void> {
      await Promise.all([
        members.look(),
        invitations.look(),
        readRoles(api, may('access:read')).then((found) => (roles.value = found)),
      ])
    },
    async invite(email: string, role: RoleChoice['id']) {
      const answer = await ask(api.v1.invitations.$post({ json: { email, role } }))
      if (answer.state === 'ready') await invitations.look()
      return answer
    },
    async resend(id: Invitation['id']) {
      const answer = await ask(api.v1.invitations[':id'].resend.$post({ param: { id } }))
      if (answer.state === 'ready') invitations.put(answer.value)
      return answer
    },
    async revoke(id: Invitation['id']) {
      const answer = await tell(api.v1.invitations[':id'].$delete({ param: { id } }))
      if (answer.state === 'ready') invitations.drop(id)
      return answer
    },
    async changeRole(id: Member['id'], role: RoleChoice['id']) {
      const answer = await ask(api.v1.members[':id'].$patch({ param: { id }, json: { role } }))
      if (answer.state === 'ready') members.put(answer.value)
      return answer
    },
    async remove(id: Member['id']) {
      const answer = await tell(api.v1.members[':id'].$delete({ param: { id } }))
      if (answer.state === 'ready') members.drop(id)
      return answer
    },
  }
})
