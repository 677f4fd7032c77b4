import type { RunId } from '#src/domain/id.ts'
import { ask, type Client } from '../../api.ts'
import type { Answered } from '../../load.ts'

/** The step that waits, and of a map which of its items. */
export type Asking = {
  runId: RunId
  step: string
  item?: number | undefined
  outer?: number | undefined
}

/** Says yes or no to what a step waits for. */
export function decide(
  api: Client,
  { runId, step, item, outer }: Asking,
  isApproved: boolean,
  comment: string,
) {
  const said = comment.trim()
  const json = {
    ...(said === '' ? {} : { comment: said }),
    ...(item === undefined ? {} : { item }),
    ...(outer === undefined ? {} : { outer }),
  }
  const sent = { param: { id: runId, step }, json }
  const { approve, reject } = api.v1.runs[':id'].steps[':step']
  return isApproved ? ask(approve.$post(sent)) : ask(reject.$post(sent))
}

/** The step by name, with its item: load, or each (item 2), or each.parts (item 2 of item 1). */
export const stepName = ({ step, item, outer }: Pick<Asking, 'step' | 'item' | 'outer'>): string =>
  item === undefined ? step : `${step} (item ${item}${outer === undefined ? '' : ` of item ${outer}`})`

/** What the page says of an answer that came too late: what was asked leaves it, and the dialog with that. */
export const tooLateWords = (of: string, answer: Answered<unknown>): string | undefined =>
  answer.state === 'failed' && answer.problem.status === 409 ? `${of}: ${answer.problem.detail}` : undefined
