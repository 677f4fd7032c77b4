import { batch, computed, createModel, effect, signal, untracked, type ReadonlySignal } from '@preact/signals'
import { ask, type Client } from '../../api.ts'
import { untilDisposed } from '../../disposal.ts'
import { loading, type Load } from '../../load.ts'
import { handOn } from './hand.ts'
import {
  afterEvent,
  afterProgress,
  eventTypes,
  isOver,
  isStepOver,
  untilsAfter,
  type Progress,
  type Quality,
  type Run,
  type RunEvent,
  type Untils,
} from './run.ts'
import { speedometer } from './speed.ts'

/** Steps move in bursts; the whole run is read at most this often. */
const betweenLooksMs = 2_000
const secondMs = 1_000
const longestWaitMs = 30_000
/** An EventSource's readyState when it has given up. */
const closed = 2

type Browser = {
  visible: ReadonlySignal<boolean>
  openStream: (url: string) => EventTarget & { readonly readyState: number; close(): void }
}

/** One run and what happens to it, for as long as its page is open and seen. */
export const RunModel = createModel((api: Client, { visible, openStream }: Browser, id: Run['id']) => {
  const init = { init: { signal: untilDisposed() } }
  const run = signal<Load<Run>>(loading)
  const quality = signal<readonly Quality[]>([])
  const untils = signal<Untils>(new Map())
  const told = signal(0)
  const speeds = signal<ReadonlyMap<string, number>>(new Map())
  const nowMs = signal(Date.now())
  const isLive = computed(() => run.value.state === 'ready' && !isOver(run.value.value))
  let lastEventId = ''
  let lookedMs = 0
  let looks = 0
  /** How many check steps were over when their results were read. */
  let qualityOf = 0

  function change(move: (run: Run) => Run): void {
    const load = run.peek()
    if (load.state === 'ready') run.value = { state: 'ready', value: move(load.value) }
  }

  async function look(): Promise<boolean> {
    lookedMs = Date.now()
    const number = ++looks
    const answer = await ask<Run>(api.v1.runs[':id'].$get({ param: { id } }, init))
    // An answer that was overtaken by a newer one tells of the past.
    if (number < looks) return true
    const was = isLive.peek()
    batch(() => {
      // What is shown stays when it cannot be read again.
      if (answer.state === 'ready' || run.value.state !== 'ready') run.value = answer
      nowMs.value = Date.now()
    })
    // The stream ends with that, perhaps before its last events have come.
    if (was && !isLive.peek()) told.value += 1
    if (answer.state === 'ready') await lookAtQuality(answer.value)
    return answer.state === 'ready'
  }

  async function lookAtQuality({ steps }: Run): Promise<void> {
    const checked = steps.filter((step) => step.kind === 'check' && isStepOver(step)).length
    if (checked === qualityOf) return
    const answer = await ask(api.v1.runs[':id'].quality.$get({ param: { id } }, init))
    if (answer.state !== 'ready') return
    qualityOf = checked
    quality.value = answer.value.items
  }

  async function lookUnlessOver(): Promise<void> {
    const load = run.peek()
    if (load.state !== 'ready' || !isOver(load.value)) await look()
  }

  /** Follows the run until it is over or the returned function is called. */
  function follow(): () => void {
    let stream: ReturnType<Browser['openStream']> | undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    let again: ReturnType<typeof setTimeout> | undefined
    let waitMs = secondMs
    let ended = false
    const speedOf = speedometer()

    const soon = (inMs: number) => {
      timer ??= setTimeout(() => {
        timer = undefined
        void look().then(proceed)
      }, inMs)
    }
    const proceed = (worked: boolean) => {
      if (ended || worked) return
      waitMs = Math.min(waitMs * 2, longestWaitMs)
      soon(waitMs)
    }
    const onEvent = ({ data, lastEventId: eventId, type }: MessageEvent<string>) => {
      lastEventId = eventId
      waitMs = secondMs
      const event = { ...(JSON.parse(data) as Omit<RunEvent, 'type'>), type }
      batch(() => {
        change((current) => afterEvent(current, event))
        untils.value = untilsAfter(untils.value, event)
        told.value += 1
      })
      const load = run.peek()
      const finished = load.state === 'ready' && isOver(load.value)
      if (finished) void look()
      else soon(Math.max(0, lookedMs + betweenLooksMs - Date.now()))
    }
    const onLine = ({ lastEventId: eventId }: MessageEvent<string>) => {
      lastEventId = eventId
      waitMs = secondMs
      told.value += 1
    }
    const onProgress = ({ data }: MessageEvent<string>) => {
      waitMs = secondMs
      const { steps } = JSON.parse(data) as { steps: Progress[] }
      batch(() => {
        change((current) => afterProgress(current, steps))
        speeds.value = speedOf(steps, Date.now())
      })
    }
    /** The browser connects again by itself unless it was refused, most often because the session has run out. */
    const onError = () => {
      if (ended || stream?.readyState !== closed) return
      waitMs = Math.min(waitMs * 2, longestWaitMs)
      again ??= setTimeout(() => {
        again = undefined
        void look().then(() => {
          if (!ended && isLive.peek()) listen()
        })
      }, waitMs)
    }
    const listen = () => {
      const after = lastEventId === '' ? '' : `?after=${encodeURIComponent(lastEventId)}`
      stream = openStream(`/v1/runs/${encodeURIComponent(id)}/events${after}`)
      for (const type of eventTypes)
        stream.addEventListener(type, (event) => onEvent(event as MessageEvent<string>))
      stream.addEventListener('progress', (event) => onProgress(event as MessageEvent<string>))
      stream.addEventListener('log', (event) => onLine(event as MessageEvent<string>))
      stream.addEventListener('error', onError)
    }

    listen()
    return () => {
      ended = true
      stream?.close()
      clearTimeout(timer)
      clearTimeout(again)
    }
  }

  effect(() => {
    if (visible.value) untracked(() => void lookUnlessOver())
  })
  effect(() => {
    if (!visible.value || !isLive.value) return undefined
    const unfollow = untracked(follow)
    const clock = setInterval(() => {
      nowMs.value = Date.now()
    }, secondMs)
    return () => {
      unfollow()
      clearInterval(clock)
    }
  })

  return {
    run,
    quality,
    /** Until when steps wait. */
    untils,
    /** Grows with each event and each line of the log. */
    told,
    /** Rows a second of the steps that are running. */
    speeds,
    nowMs,
    isLive,
    look,
    ...handOn(api, id, look),
  }
})
