import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { Permission } from '#src/domain/role.ts'
import { ask, tell, type Client } from '../../api.ts'
import { listModel } from '../../list.ts'
import { readRoles, type RoleChoice } from '../../roles.ts'

type Routes = Client['v1']['service-accounts']
export type ServiceAccount = InferResponseType<Routes['$get'], 200>['items'][number]

export const ServiceAccountsModel = createModel((api: Client, may: (wanted: Permission) => boolean) => {
  const routes = api.v1['service-accounts']
  const roles = signal<readonly RoleChoice[]>([])
  const accounts = listModel((cursor) => ask(routes.$get({ query: cursor === undefined ? {} : { cursor } })))
  return {
    roles,
    accounts,
    async load(): Promise<void> {
      const [found] = await Promise.all([readRoles(api, may('access:read')), accounts.look()])
      roles.value = found
    },
    async make(name: string, role: RoleChoice['id']) {
      const answer = await ask(routes.$post({ json: { name, role } }))
      if (answer.state === 'ready') await accounts.look()
      return answer
    },
    async disable({ id }: ServiceAccount, disabled: boolean) {
      const answer = await ask(routes[':id'].$patch({ param: { id }, json: { disabled } }))
      if (answer.state === 'ready') accounts.put(answer.value)
      return answer
    },
    async remove({ id }: ServiceAccount) {
      const answer = await tell(routes[':id'].$delete({ param: { id } }))
      if (answer.state === 'ready') accounts.drop(id)
      return answer
    },
  }
})
