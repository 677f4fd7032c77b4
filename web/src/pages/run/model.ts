import { computed, signal } from '@preact/signals'
import { api, ask } from '../../api.ts'
import { loading, type Load, type Problem } from '../../load.ts'

export type Step = {
  key: string
  kind: string
  state: string
  attempt: number
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  error?: { code: string; message: string }
  startedAt?: string
  durationMs?: number
}
export type Run = {
  id: string
  pipelineId: string
  pipelineName: string
  version: number
  state: string
  createdAt: string
  durationMs?: number
  steps: Step[]
}
export type Quality = { stepKey: string; rule: string; column?: string; onFail: string; checked: number; failed: number; passed: boolean }

const over = new Set(['succeeded', 'succeeded_with_warnings', 'failed', 'cancelled'])
/** Events arrive in bursts; the whole run is read at most this often. */
const quietMs = 300

/** One run and what happens to it, for as long as the page is open. */
export function runModel(id: string) {
  const run = signal<Load<Run>>(loading)
  const quality = signal<Quality[]>([])
  const problem = signal<Problem | undefined>(undefined)
  let stream: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined

  async function look(): Promise<void> {
    timer = undefined
    run.value = await ask<Run>(api.v1.runs[':id'].$get({ param: { id } }))
    const checks = await ask(api.v1.runs[':id'].quality.$get({ param: { id } }))
    if (checks.state === 'ready') quality.value = checks.value.items
  }

  const soon = () => {
    timer ??= setTimeout(() => void look(), quietMs)
  }

  /** Rows of a step that is under way, between two looks. */
  const progress = (message: MessageEvent<string>) => {
    if (run.value.state !== 'ready') return
    const { steps } = JSON.parse(message.data) as { steps: Pick<Step, 'key' | 'rowsIn' | 'rowsOut'>[] }
    const byKey = new Map(steps.map((step) => [step.key, step]))
    const current = run.value.value
    run.value = { state: 'ready', value: { ...current, steps: current.steps.map((step) => ({ ...step, ...byKey.get(step.key) })) } }
  }

  return {
    run,
    quality,
    problem,
    canCancel: computed(() => run.value.state === 'ready' && !over.has(run.value.value.state)),
    async open(): Promise<void> {
      await look()
      if (run.value.state !== 'ready' || over.has(run.value.value.state)) return
      stream = new EventSource(`/v1/runs/${encodeURIComponent(id)}/events`)
      for (const type of ['queued', 'running', 'cancelling']) stream.addEventListener(`run.${type}`, soon)
      for (const type of ['running', 'ready', 'succeeded', 'failed', 'skipped', 'cancelled', 'waiting', 'retrying', 'continued']) {
        stream.addEventListener(`step.${type}`, soon)
      }
      stream.addEventListener('progress', progress)
      for (const type of over) {
        stream.addEventListener(`run.${type}`, () => {
          stream?.close()
          soon()
        })
      }
    },
    close(): void {
      stream?.close()
      clearTimeout(timer)
    },
    async cancel(): Promise<void> {
      const answer = await ask(api.v1.runs[':id'].cancel.$post({ param: { id } }))
      problem.value = answer.state === 'failed' ? answer.problem : undefined
      soon()
    },
  }
}
