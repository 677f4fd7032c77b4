import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { Permission } from '#src/domain/role.ts'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { readNames } from '../../names.ts'
import { asked, type Filter } from './filter.ts'

type Answer = InferResponseType<Client['v1']['audit']['$get'], 200>
export type Entry = Omit<Answer['items'][number], 'id'> & { id: string }

export const AuditModel = createModel((api: Client, filter: Filter) => {
  const init = { init: { signal: untilDisposed() } }
  const query = asked(filter)
  const entries = listModel(async (cursor) => {
    const answer = await ask<Answer>(
      api.v1.audit.$get({ query: cursor === undefined ? query : { ...query, cursor } }, init),
    )
    if (answer.state === 'failed') return answer
    const items = answer.value.items.map((entry): Entry => ({ ...entry, id: String(entry.id) }))
    return { state: 'ready', value: { ...answer.value, items } }
  })
  return { entries }
})

/** Who did things, by name: asked for once, whatever is then looked for. */
export const ActorsModel = createModel((api: Client, may: (wanted: Permission) => boolean) => {
  const names = signal<ReadonlyMap<string, string>>(new Map())
  return {
    names,
    async load(): Promise<void> {
      names.value = await readNames(api, may, ['members', 'service-accounts', 'api-keys'])
    },
  }
})
