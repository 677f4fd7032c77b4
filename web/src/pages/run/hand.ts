import { ask, type Client } from '../../api.ts'
import { onceEach } from '../../once.ts'
import { thenLook } from '../../then-look.ts'
import { decide } from '../approvals/decide.ts'
import type { Run } from './run.ts'

export type Mark = { as: 'succeeded' | 'failed'; reason: string }
export type Rerun = { from: string; version: 'same' | 'current'; reason?: string }
type Place = { item?: number | undefined; outer?: number | undefined }

/** What people do to a run; it is read again afterwards, whether that has worked or not. */
export function handOn(api: Client, id: Run['id'], look: () => Promise<unknown>) {
  const byId = api.v1.runs[':id']
  const param = { id }
  const once = onceEach()
  return {
    cancel: () => thenLook(ask(byId.cancel.$post({ param })), look),
    /** Makes another run, so nothing of this one changes. */
    rerun: (asked: Rerun) =>
      once(asked, (json, headers) => ask(byId.rerun.$post({ param, json }, { headers }))),
    mark: (json: Mark) => thenLook(ask(byId.mark.$post({ param, json })), look),
    markStep: (step: string, json: Mark) =>
      thenLook(ask(byId.steps[':step'].mark.$post({ param: { id, step }, json })), look),
    decide: (step: string, { item, outer }: Place, isApproved: boolean, comment: string) =>
      thenLook(decide(api, { runId: id, step, item, outer }, isApproved, comment), look),
  }
}
