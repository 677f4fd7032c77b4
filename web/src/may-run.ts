import { effect, signal } from '@preact/signals'
import type { Role } from '#src/domain/role.ts'
import { api, session } from './browser.ts'
import { readGranted } from './granted.ts'
import { may } from './may.ts'

/** The pipelines that grants let somebody run who may not run all of them. */
const granted = signal<ReadonlySet<string>>(new Set())
let askedFor = ''

effect(() => {
  const state = session.state.value
  if (state.state !== 'ready') return
  const { tenant, user, permissions } = state.value
  const isAsking = user !== undefined && !permissions.includes('runs:write')
  const who = `${tenant.id} ${user?.id} ${isAsking}`
  if (who === askedFor) return
  askedFor = who
  granted.value = new Set()
  if (isAsking)
    void readGranted(api).then((found) => {
      if (who === askedFor) granted.value = found
    })
})

/** Whether somebody may start and stop a pipeline, and see to what became of its runs. */
export const mayRun = (pipelineId: string): boolean => may('runs:write') || granted.value.has(pipelineId)

/** The same of any pipeline at all. */
export const mayRunAny = (): boolean => may('runs:write') || granted.value.size > 0

/** Approvals are for some roles to decide, whatever else somebody may do. */
export function mayDecide(roles: readonly Role[], pipelineId: string): boolean {
  const state = session.state.value
  const own = state.state === 'ready' ? state.value.user?.role : undefined
  return mayRun(pipelineId) && roles.some((role) => role === own)
}
