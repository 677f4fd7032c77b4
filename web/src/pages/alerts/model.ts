import { createModel, signal, type ReadonlySignal } from '@preact/signals'
import type { InferRequestType, InferResponseType } from 'hono/client'
import type { Permission } from '#src/domain/role.ts'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { readNames } from '../../names.ts'
import { pollWhile } from '../../polling.ts'

type Routes = Client['v1']['alerts']
export type Alert = InferResponseType<Routes['$get'], 200>['items'][number]
export type AlertQuery = InferRequestType<Routes['$get']>['query']

const everyMs = 10_000

export const AlertsModel = createModel(
  (
    api: Client,
    { visible, may }: { visible: ReadonlySignal<boolean>; may: (wanted: Permission) => boolean },
    asked: AlertQuery,
  ) => {
    const init = { init: { signal: untilDisposed() } }
    /** Who resolved alerts, by name; asked for when there is one that somebody has. */
    const names = signal<ReadonlyMap<string, string> | undefined>(undefined)
    const alerts = listModel((cursor) =>
      ask(api.v1.alerts.$get({ query: cursor === undefined ? asked : { ...asked, cursor } }, init)),
    )

    async function look(): Promise<boolean> {
      const worked = await alerts.look()
      const shown = alerts.list.value
      if (
        names.value === undefined &&
        shown.state === 'ready' &&
        shown.value.items.some((one) => one.resolvedBy)
      ) {
        names.value = new Map()
        names.value = await readNames(api, may, ['members', 'api-keys'])
      }
      return worked
    }
    pollWhile(visible, everyMs, look)

    return {
      alerts,
      names,
      look,
      async resolve(id: Alert['id']) {
        const answer = await ask(api.v1.alerts[':id'].resolve.$post({ param: { id } }))
        if (answer.state === 'ready') {
          // In a list of those that are open it has no place any more.
          if (asked.state === 'open') alerts.drop(id)
          else alerts.put(answer.value)
        }
        return answer
      },
    }
  },
)
