import { batch, effect, signal, untracked, type ReadonlySignal } from '@preact/signals'
import { loading, type Answered, type ApiProblem, type Load } from '../../load.ts'

export type Tail<T> = { items: readonly T[]; hasMore: boolean }
type Part<T> = { items: readonly T[]; nextCursor?: string | undefined }

const betweenLooksMs = 1_000

/**
 * What only ever grows at its end, read on from the last one that is shown, each time that `told` grows. What there is
 * beyond one answer waits until somebody asks for it. To be called in a model: it ends with it.
 */
export function tailModel<T extends { seq: number }>(
  read: (after: number) => Promise<Answered<Part<T>>>,
  told: ReadonlySignal<number>,
) {
  const tail = signal<Load<Tail<T>>>(loading)
  const problem = signal<ApiProblem | undefined>(undefined)
  const busy = signal(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  let lookedMs = -Infinity

  async function more(): Promise<void> {
    if (busy.value) return soon()
    busy.value = true
    lookedMs = Date.now()
    const shown = tail.value.state === 'ready' ? tail.value.value.items : []
    const answer = await read(shown.at(-1)?.seq ?? 0)
    batch(() => {
      busy.value = false
      if (answer.state === 'failed') {
        if (tail.value.state === 'ready') problem.value = answer.problem
        else tail.value = answer
        return
      }
      const { items, nextCursor } = answer.value
      problem.value = undefined
      tail.value = {
        state: 'ready',
        value: { items: [...shown, ...items], hasMore: nextCursor !== undefined },
      }
    })
  }

  function soon(): void {
    if (tail.value.state === 'ready' && tail.value.value.hasMore) return
    timer ??= setTimeout(
      () => {
        timer = undefined
        void more()
      },
      Math.max(0, lookedMs + betweenLooksMs - Date.now()),
    )
  }

  effect(() => {
    void told.value
    untracked(soon)
  })
  effect(() => () => clearTimeout(timer))

  return { tail, problem, busy, more }
}
