import type { InferRequestType } from 'hono/client'
import type { Client } from '../../api.ts'
import { isId } from '../../id.ts'

type Query = InferRequestType<Client['v1']['dead-letters']['$get']>['query']
type Bulk = NonNullable<InferRequestType<Client['v1']['dead-letters']['replay']['$post']>['json']['filter']>
type LetterState = 'open' | 'replayed' | 'dismissed'

export const filterNames = ['state', 'pipelineId', 'code', 'since'] as const
export type Filter = Partial<Record<(typeof filterNames)[number], string>>
export const states = ['open', 'replayed', 'dismissed'] as const satisfies readonly LetterState[]
/** What stands in the address for all of them: nothing there means those that are open. */
export const anyState = 'any'

/** What fits, whatever its state: as replaying all of it is asked for. */
export function fitting({ pipelineId, code, since }: Filter): Bulk {
  const from = since === undefined ? undefined : midnight(since)
  return {
    ...(isId('pip', pipelineId) && { pipelineId }),
    ...(code && { code }),
    ...(from && { since: from }),
  }
}

/** Whether all that is asked for is heeded: what is not narrows nothing, so more would fit than somebody means. */
export const isHeeded = ({ pipelineId, since }: Filter): boolean =>
  (pipelineId === undefined || isId('pip', pipelineId)) &&
  (since === undefined || midnight(since) !== undefined)

/** The same for a list of them. */
export function listed(filter: Filter): Query {
  const wanted = filter.state ?? 'open'
  const state = states.find((one) => one === wanted)
  return { ...fitting(filter), ...(state && { state }) }
}

/** The beginning of a day of whoever looks. */
function midnight(day: string): string | undefined {
  const at = new Date(`${day}T00:00:00`)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}
