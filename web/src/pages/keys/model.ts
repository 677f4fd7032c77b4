import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { Permission } from '#src/domain/role.ts'
import { ask, tell, type Client } from '../../api.ts'
import { isId } from '../../id.ts'
import { listModel } from '../../list.ts'
import type { Answered } from '../../load.ts'
import { readNames } from '../../names.ts'

export type Key = InferResponseType<Client['v1']['me']['api-keys']['$get'], 200>['items'][number]
/** A key whose text is still known: by nobody but who sees it now. */
export type MadeKey = Key & { key: string }
/** One's own keys, those of a service account, or all that there are. */
export type Whose = 'mine' | 'all' | `sac_${string}`

/** A person, or a service account. */
export const ownerOf = (key: Key): string => ('userId' in key ? key.userId : key.serviceAccountId)

type Environment = {
  api: Client
  may: (wanted: Permission) => boolean
  userId: string | undefined
  whose: Whose
}

export const KeysModel = createModel(({ api, may, userId, whose }: Environment) => {
  const own = api.v1.me['api-keys']
  const all = api.v1['api-keys']
  const names = signal<ReadonlyMap<string, string>>(new Map())
  const made = signal<MadeKey | undefined>(undefined)
  const keys = listModel((cursor) => {
    const paging = cursor === undefined ? {} : { cursor }
    if (whose === 'mine') return ask(own.$get({ query: paging }))
    const filter = whose === 'all' ? {} : { serviceAccountId: whose }
    return ask(all.$get({ query: { ...filter, ...paging } }))
  })
  /** One's own keys need no permission. */
  const isOwn = (key: Key): boolean => ownerOf(key) === userId

  return {
    keys,
    names,
    made,
    canRevoke: (key: Key): boolean => isOwn(key) || may('api-keys:write'),
    /** Nobody rotates another person's key: the new text would let them act as that person. */
    canRotate: (key: Key): boolean =>
      key.replacedBy === undefined && (isOwn(key) || (isId('sac', ownerOf(key)) && may('api-keys:write'))),
    async load(): Promise<void> {
      await Promise.all([
        keys.look(),
        readNames(
          api,
          may,
          whose === 'mine' ? ['projects'] : ['projects', 'members', 'service-accounts'],
        ).then((found) => (names.value = found)),
      ])
    },
    async rotate(key: Key, overlapMs: number): Promise<Answered<MadeKey>> {
      const asked = { param: { id: key.id }, json: { overlapMs } }
      const answer = await ask<MadeKey>(
        isOwn(key) ? own[':id'].rotate.$post(asked) : all[':id'].rotate.$post(asked),
      )
      if (answer.state === 'ready') {
        if (overlapMs === 0) keys.drop(key.id)
        await keys.look()
        made.value = answer.value
      }
      return answer
    },
    async revoke(key: Key): Promise<Answered<true>> {
      const asked = { param: { id: key.id } }
      const answer = await tell(isOwn(key) ? own[':id'].$delete(asked) : all[':id'].$delete(asked))
      if (answer.state === 'ready') keys.drop(key.id)
      return answer
    },
  }
})
