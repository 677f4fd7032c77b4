import { createModel, type ReadonlySignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import type { LogLevel } from '#src/domain/log.ts'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import type { Told } from './event-words.ts'
import type { Run } from './run.ts'
import { tailModel } from './tail.ts'

/** From the least grave on. */
export const logLevels = Object.keys({
  debug: true,
  info: true,
  warn: true,
  error: true,
} satisfies Record<LogLevel, true>) as LogLevel[]
export const isLevel = (text: string): text is LogLevel => logLevels.some((level) => level === text)

type ById = Client['v1']['runs'][':id']
export type LogFilter = { step?: string; level?: LogLevel; search?: string }
export type Line = InferResponseType<ById['logs']['$get'], 200>['items'][number]
export type Happened = Told & {
  seq: number
  at: string
  type: string
  step?: string
  outer?: number
  mapIndex?: number
  actor: string
}

const atOnce = '200'

/** What the steps of a run said. */
export const LogModel = createModel(
  (api: Client, id: Run['id'], filter: LogFilter, told: ReadonlySignal<number>) => {
    const init = { init: { signal: untilDisposed() } }
    return tailModel<Line>((after) => {
      const query = { ...filter, limit: atOnce, after: String(after) }
      return ask(api.v1.runs[':id'].logs.$get({ param: { id }, query }, init))
    }, told)
  },
)

/** What happened to a run, and who did it. */
export const EventsModel = createModel((api: Client, id: Run['id'], told: ReadonlySignal<number>) => {
  const init = { headers: { Accept: 'application/json' }, init: { signal: untilDisposed() } }
  return tailModel<Happened>((after) => {
    const query = { limit: atOnce, after: String(after) }
    const asked = api.v1.runs[':id'].events.$get({ param: { id }, query }, init)
    // The same route streams, so its answer has no type of its own.
    return ask(
      asked.then((response) => ({
        ok: response.ok,
        status: response.status,
        json: async () => (await response.json()) as { items: Happened[]; nextCursor?: string },
      })),
    )
  }, told)
})
