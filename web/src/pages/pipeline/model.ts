import { createModel, signal, type ReadonlySignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { loading, type Load } from '../../load.ts'
import { RunsModel } from '../runs/model.ts'

export type Pipeline = InferResponseType<Client['v1']['pipelines'][':id']['$get'], 200>
type PipelineId = Pipeline['id']
type Parameters = Pipeline['definition']['parameters']
type ParameterType = Parameters[string]['type']

const runsAtOnce = '10'

export const PipelineModel = createModel((api: Client, visible: ReadonlySignal<boolean>, id: PipelineId) => {
  const init = { init: { signal: untilDisposed() } }
  const pipeline = signal<Load<Pipeline>>(loading)
  const { runs } = new RunsModel(api, visible, { pipelineId: id }, runsAtOnce)
  const versions = listModel(async (cursor) => {
    const query = cursor === undefined ? {} : { cursor }
    const answer = await ask(api.v1.pipelines[':id'].versions.$get({ param: { id }, query }, init))
    if (answer.state === 'failed') return answer
    const items = answer.value.items.map((version) => ({ ...version, id: String(version.version) }))
    return { state: 'ready', value: { ...answer.value, items } }
  })
  /** A start that no answer has come to: asking for the same again, with its key, does not start twice. */
  let unanswered: { body: string; key: string } | undefined

  return {
    pipeline,
    runs,
    versions,
    async load(): Promise<void> {
      const [answer] = await Promise.all([
        ask<Pipeline>(api.v1.pipelines[':id'].$get({ param: { id } }, init)),
        versions.look(),
      ])
      pipeline.value = answer
    },
    async start(parameters: Record<string, string | number | boolean>) {
      const json = { pipelineId: id, parameters }
      const body = JSON.stringify(json)
      const attempt = unanswered?.body === body ? unanswered : { body, key: crypto.randomUUID() }
      unanswered = attempt
      const headers = { 'Idempotency-Key': attempt.key }
      const answer = await ask(api.v1.runs.$post({ json }, { headers, ...init }))
      if (answer.state === 'ready' || answer.problem.status !== 0) unanswered = undefined
      return answer
    },
  }
})

/** What was typed, as the values that the parameters take; an empty field leaves the default. */
export function typedParameters(
  parameters: Parameters,
  typed: (name: string) => string,
): Record<string, string | number | boolean> {
  const given: Record<string, string | number | boolean> = {}
  for (const [name, { type }] of Object.entries(parameters)) {
    const value = typed(name)
    if (value !== '') given[name] = typedValue(type, value)
  }
  return given
}

/** What is no number stays a text: the server says what is wrong with it. */
function typedValue(type: ParameterType, value: string): string | number | boolean {
  if (type === 'boolean') return value === 'true'
  if (type !== 'integer' && type !== 'number') return value
  const number = Number(value)
  return Number.isFinite(number) ? number : value
}
