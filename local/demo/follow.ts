import { setTimeout as sleep } from 'node:timers/promises'

import type { Api, RunJson, StepJson } from './api.ts'

const over = new Set(['succeeded', 'succeeded_with_warnings', 'failed', 'cancelled'])
const ended = new Set(['succeeded', 'failed', 'skipped', 'cancelled'])
const pauseMs = 500

/** How each step stands; `changed` names those whose state has just moved. */
export type Look = (steps: readonly StepJson[], changed: readonly string[]) => void

/** Follows a run's events to its end, through broken connections, and gives the run as it ended. */
export async function followRun(api: Api, runId: string, look: Look, signal: AbortSignal): Promise<RunJson> {
  const path = `/v1/runs/${runId}`
  const read = () => api.get<RunJson>(path)
  let run = await read()
  let after: string | undefined
  const steps = new Map(run.steps.map((step) => [step.key, step]))
  const told = new Map(run.steps.map(({ key, state }) => [key, state]))
  look(run.steps, [])
  while (!over.has(run.state)) {
    signal.throwIfAborted()
    try {
      const stream = await api.events(`${path}/events`, after, signal)
      if (!stream.ok || !stream.body) throw new Error(`The run's events were answered ${stream.status}`)
      for await (const event of messages(stream.body)) {
        after = event.id ?? after
        // What SQL counted by itself is not in the event.
        if (apply(steps, event)) for (const step of (await read()).steps) steps.set(step.key, step)
        const changed = [...steps.values()].filter(({ key, state }) => told.get(key) !== state)
        for (const { key, state } of changed) told.set(key, state)
        look(
          [...steps.values()],
          changed.map(({ key }) => key),
        )
      }
    } catch (cause) {
      signal.throwIfAborted()
      if (!isBroken(cause)) throw cause
      await sleep(pauseMs)
    }
    run = await read().catch(async (cause: unknown) => {
      if (!isBroken(cause)) throw cause
      await sleep(pauseMs)
      return run
    })
  }
  look(run.steps, [])
  return run
}

/** What happens while the Worker restarts; the run itself goes on. */
const isBroken = (cause: unknown): boolean =>
  cause instanceof TypeError || (cause instanceof Error && /answered 5\d\d|terminated/.test(cause.message))

type Message = { id?: string; event: string; data: Record<string, unknown> }

async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    const whole = text.split('\n\n')
    text = whole.pop() ?? ''
    for (const one of whole) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(one)?.[1]
      const data = field('data')
      if (data === undefined) continue
      const id = field('id')
      yield {
        event: field('event') ?? 'message',
        data: JSON.parse(data),
        ...(id === undefined ? {} : { id }),
      }
    }
  }
}

/** Progress brings the running steps' numbers, an event of a step its new state. True when the step has ended. */
function apply(steps: Map<string, StepJson>, { event, data }: Message): boolean {
  if (event === 'progress' && Array.isArray(data['steps'])) {
    for (const step of data['steps'] as StepJson[]) merge(steps, step.key, step)
    return false
  }
  const key = data['step']
  const state = event.startsWith('step.') ? event.slice('step.'.length) : undefined
  if (typeof key !== 'string' || state === undefined || steps.get(key)?.finishedAt) return false
  if (ended.has(state)) return true
  if (state === 'running')
    merge(steps, key, { state, startedAt: steps.get(key)?.startedAt ?? String(data['at']) })
  else if (state === 'waiting' || steps.get(key)?.state === 'pending') merge(steps, key, { state })
  return false
}

function merge(steps: Map<string, StepJson>, key: string, change: Partial<StepJson>): void {
  const step = steps.get(key)
  if (step) steps.set(key, { ...step, ...change })
}
