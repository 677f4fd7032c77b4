import { createModel, signal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { loading, type Load } from '../../load.ts'
import type { Grouping, Period } from './period.ts'

export type Usage = InferResponseType<Client['v1']['usage']['$get'], 200>

export const UsageModel = createModel((api: Client, query: Period & { by: Grouping }) => {
  const init = { init: { signal: untilDisposed() } }
  const usage = signal<Load<Usage>>(loading)
  return {
    usage,
    async load(): Promise<void> {
      usage.value = await ask<Usage>(api.v1.usage.$get({ query }, init))
    },
    /** The same as a table for other programs. */
    table: (): Promise<Response> =>
      api.v1.usage.$get({ query }, { ...init, headers: { Accept: 'text/csv' } }),
  }
})
