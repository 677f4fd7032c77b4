import { createModel, signal } from '@preact/signals'
import type { Permission } from '#src/domain/role.ts'
import { ask, type Client } from '../../api.ts'
import { isId } from '../../id.ts'
import type { Answered } from '../../load.ts'
import type { MadeKey } from '../keys/model.ts'

type Named = { id: string; name: string }
/** What was filled in; `owner` and `project` are empty for oneself and for all projects. */
export type KeyForm = {
  name: string
  owner: string
  project: string
  expires: string
  day: string
  addresses: string
}
type Environment = { api: Client; may: (wanted: Permission) => boolean; now: () => Date }

const dayMs = 86_400_000

export const NewKeyModel = createModel(({ api, may, now }: Environment) => {
  const accounts = signal<readonly Named[]>([])
  const projects = signal<readonly Named[]>([])
  const scopes = signal<ReadonlySet<Permission>>(new Set())
  const made = signal<MadeKey | undefined>(undefined)

  return {
    accounts,
    projects,
    scopes,
    made,
    async load(): Promise<void> {
      const query = { limit: '500' }
      const [found, others] = await Promise.all([
        may('api-keys:write') ? ask(api.v1['service-accounts'].$get({ query })) : undefined,
        may('projects:read')
          ? ask(api.v1.projects.$get({ query: { ...query, archived: 'false' } }))
          : undefined,
      ])
      if (found?.state === 'ready') accounts.value = found.value.items.filter(({ disabled }) => !disabled)
      if (others?.state === 'ready') projects.value = others.value.items
    },
    toggle(scope: Permission): void {
      const next = new Set(scopes.value)
      if (!next.delete(scope)) next.add(scope)
      scopes.value = next
    },
    async make(form: KeyForm): Promise<Answered<MadeKey>> {
      const { owner, project } = form
      const expiresAt = endOf(form, now())
      const ipAllow = form.addresses.split(/[\s,]+/).filter((one) => one !== '')
      const json = {
        name: form.name,
        scopes: [...scopes.value],
        ...(expiresAt === undefined ? {} : { expiresAt }),
        ...(isId('prj', project) ? { projectId: project } : {}),
        ...(ipAllow.length === 0 ? {} : { ipAllow }),
      }
      const answer = await ask<MadeKey>(
        isId('sac', owner)
          ? api.v1['api-keys'].$post({ json: { ...json, serviceAccountId: owner } })
          : api.v1.me['api-keys'].$post({ json }),
      )
      if (answer.state === 'ready') made.value = answer.value
      return answer
    },
  }
})

/** After so many days, or with the end of a day where the browser is. */
function endOf({ expires, day }: KeyForm, now: Date): string | undefined {
  if (expires === 'never') return undefined
  const at =
    expires === 'day' ? new Date(`${day}T23:59:59`) : new Date(now.getTime() + Number(expires) * dayMs)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}
