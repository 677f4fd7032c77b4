import type { Permission, Role } from '#src/domain/role.ts'
import { ask, type Client } from './api.ts'

export type RoleChoice = { id: Role | `rol_${string}`; name: string; permissions?: readonly Permission[] }

/** What each role that comes with Weir is for. */
const words: Record<Role, string> = {
  owner: 'everything, the organisation itself included',
  admin: 'everything but what only owners do',
  developer: 'builds connections, datasets and pipelines, and runs them',
  analyst: 'reads, and changes datasets',
  operator: 'reads, and starts and stops runs',
  viewer: 'only reads',
  guest: 'only what is granted to them one by one',
}

const builtIn: readonly RoleChoice[] = (Object.keys(words) as Role[]).map((id) => ({ id, name: id }))

/** The roles there are: with the organisation's own, for who may see those. */
export async function readRoles(api: Client, mayAsk: boolean): Promise<readonly RoleChoice[]> {
  if (!mayAsk) return builtIn
  const answer = await ask(api.v1.roles.$get())
  return answer.state === 'ready' ? answer.value.items : builtIn
}

/** Those that somebody can give: nobody gives more than they have. */
export const givable = (roles: readonly RoleChoice[], own: readonly Permission[]): readonly RoleChoice[] =>
  roles.filter(({ permissions = [] }) => permissions.every((one) => own.includes(one)))

export const roleName = (roles: readonly RoleChoice[], id: string): string =>
  roles.find((role) => role.id === id)?.name ?? id

export const roleWords = ({ id, name }: RoleChoice): string =>
  Object.hasOwn(words, id) ? `${name}: ${words[id as Role]}` : name
