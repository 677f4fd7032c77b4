import { createModel, signal } from '@preact/signals'
import type { InferRequestType } from 'hono/client'
import type { Partition } from '#src/domain/backfill.ts'
import { ask, type Client } from '../../api.ts'
import { loading, type Load } from '../../load.ts'
import { onceEach } from '../../once.ts'
import type { Pipeline } from '../pipeline/model.ts'
import type { Backfill } from './backfill.ts'

type Asked = InferRequestType<Client['v1']['pipelines'][':id']['backfills']['$post']>['json']

/** The pipeline that a backfill is to be of, and its start. */
export const NewBackfillModel = createModel((api: Client) => {
  const pipeline = signal<Load<Pipeline> | undefined>(undefined)
  const once = onceEach()
  let chosen: Pipeline['id'] | undefined
  return {
    pipeline,
    async choose(id: Pipeline['id'] | undefined): Promise<void> {
      chosen = id
      pipeline.value = id === undefined ? undefined : loading
      if (id === undefined) return
      const answer = await ask<Pipeline>(api.v1.pipelines[':id'].$get({ param: { id } }))
      if (chosen === id) pipeline.value = answer
    },
    start: (id: Pipeline['id'], asked: Asked) =>
      once({ id, asked }, (_, headers) =>
        ask<Backfill>(api.v1.pipelines[':id'].backfills.$post({ param: { id }, json: asked }, { headers })),
      ),
  }
})

/** The ways to cut a range into runs; the last two are said by the pipeline and by a cron expression. */
export const cuts = ['day', 'hour', 'month', 'schedule', 'cron'] as const satisfies readonly (
  | Partition
  | 'schedule'
  | 'cron'
)[]

/** What was typed, as it is asked for. Times are typed in UTC; days are those of the zone. */
export function backfillOf(typed: (name: string) => string, parameters: Record<string, unknown>): Asked {
  const edge = (name: string) => (typed('edges') === 'times' ? timeOf(typed(name)) : typed(name))
  const cut = cuts.find((one) => one === typed('cut')) ?? 'day'
  const timezone = typed('timezone').trim()
  return {
    from: edge('from'),
    to: edge('to'),
    ...(cut === 'cron' ? { cron: typed('cron').trim() } : cut === 'schedule' ? {} : { by: cut }),
    // The schedule has a zone of its own.
    ...(cut === 'schedule' || timezone === '' ? {} : { timezone }),
    order: typed('order') === 'newest' ? 'newest' : 'oldest',
    concurrency: Number(typed('concurrency') || '1'),
    skipSucceeded: typed('skipSucceeded') !== '',
    parameters,
  }
}

/** 2026-01-31T06:15, as the field gives it, in UTC. */
const timeOf = (local: string): string => (local === '' ? '' : `${local}${local.length === 16 ? ':00' : ''}Z`)
