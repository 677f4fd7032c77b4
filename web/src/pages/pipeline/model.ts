import { createModel, signal, type ReadonlySignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { Permission } from '#src/domain/role.ts'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { listModel } from '../../list.ts'
import { loading, type Load } from '../../load.ts'
import { readNames } from '../../names.ts'
import { onceEach } from '../../once.ts'
import { thenLook } from '../../then-look.ts'
import { RunsModel } from '../runs/model.ts'

export type Pipeline = InferResponseType<Client['v1']['pipelines'][':id']['$get'], 200>
export type Schedule = InferResponseType<Client['v1']['schedules']['$get'], 200>['items'][number]
type PipelineId = Pipeline['id']
export type Parameters = Pipeline['definition']['parameters']
type ParameterType = Parameters[string]['type']

const runsAtOnce = '10'
const mostSchedules = '100'

type Browser = { visible: ReadonlySignal<boolean>; may: (wanted: Permission) => boolean }

export const PipelineModel = createModel((api: Client, { visible, may }: Browser, id: PipelineId) => {
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
  const once = onceEach()
  const schedules = signal<readonly Schedule[]>([])
  const names = signal<ReadonlyMap<string, string>>(new Map())

  async function lookAtSchedules(): Promise<void> {
    const query = { pipelineId: id, limit: mostSchedules }
    const answer = await ask(api.v1.schedules.$get({ query }, init))
    if (answer.state === 'ready') schedules.value = answer.value.items
  }

  async function lookAtPipeline(): Promise<void> {
    const answer = await ask<Pipeline>(api.v1.pipelines[':id'].$get({ param: { id } }, init))
    // What is shown stays when it cannot be read again.
    if (answer.state === 'ready' || pipeline.value.state !== 'ready') pipeline.value = answer
    if (answer.state === 'ready' && answer.value.paused && names.value.size === 0)
      names.value = await readNames(api, may, ['members', 'api-keys'])
  }

  const lookAgain = () => Promise.all([lookAtPipeline(), lookAtSchedules()])

  return {
    pipeline,
    runs,
    versions,
    /** Who paused it, by name. */
    names,
    /** When it starts by itself. */
    schedules,
    async load(): Promise<void> {
      await Promise.all([lookAgain(), versions.look()])
    },
    start: (parameters: Record<string, string | number | boolean>) =>
      once({ pipelineId: id, parameters }, (json, headers) =>
        ask(api.v1.runs.$post({ json }, { headers, ...init })),
      ),
    pause: (json: { reason?: string }) =>
      thenLook(ask(api.v1.pipelines[':id'].pause.$post({ param: { id }, json })), lookAgain),
    resume: () => thenLook(ask(api.v1.pipelines[':id'].resume.$post({ param: { id } })), lookAgain),
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
