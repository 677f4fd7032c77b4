import type { RunState } from '#src/domain/run-state.ts'
import { isId } from '../../id.ts'
import type { RunFilter } from './model.ts'

export const filterNames = ['state', 'pipelineId', 'backfillId'] as const

/** By what somebody looks for first; a record, so that none is forgotten. */
export const states = Object.keys({
  running: true,
  queued: true,
  waiting: true,
  failed: true,
  succeeded: true,
  succeeded_with_warnings: true,
  cancelling: true,
  cancelled: true,
} satisfies Record<RunState, true>) as RunState[]

/** What stands in the address, as the list is asked for; what it cannot be asked for is left out. */
export function asked(filter: Partial<Record<(typeof filterNames)[number], string>>): RunFilter {
  const state = states.find((one) => one === filter.state)
  return {
    ...(state && { state }),
    ...(isId('pip', filter.pipelineId) && { pipelineId: filter.pipelineId }),
    ...(isId('bkf', filter.backfillId) && { backfillId: filter.backfillId }),
  }
}
