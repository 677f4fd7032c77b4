import { batch, signal } from '@preact/signals'
import { loading, type Answered, type ApiProblem, type Load } from './load.ts'

export type Listed<T> = { items: T[]; nextCursor?: string | undefined }

/** A list that is read page by page, newest first, and whose first page can be read again while it is shown. */
export function listModel<T extends { id: string }>(
  read: (cursor: string | undefined) => Promise<Answered<Listed<T>>>,
) {
  const list = signal<Load<Listed<T>>>(loading)
  const busy = signal(false)
  const problem = signal<ApiProblem | undefined>(undefined)

  /** Reads the first page; what was read further down stays as it is. */
  async function look(): Promise<boolean> {
    const answer = await read(undefined)
    batch(() => {
      const shown = list.value
      if (answer.state === 'failed' && shown.state === 'ready') {
        problem.value = answer.problem
        return
      }
      problem.value = undefined
      list.value =
        answer.state === 'ready' && shown.state === 'ready'
          ? { state: 'ready', value: joined(answer.value, shown.value) }
          : answer
    })
    return answer.state === 'ready'
  }

  async function more(): Promise<void> {
    if (list.value.state !== 'ready' || list.value.value.nextCursor === undefined || busy.value) return
    busy.value = true
    const answer = await read(list.value.value.nextCursor)
    batch(() => {
      busy.value = false
      problem.value = answer.state === 'failed' ? answer.problem : undefined
      if (answer.state !== 'ready' || list.value.state !== 'ready') return
      const { items } = list.value.value
      const known = new Set(items.map(({ id }) => id))
      const further = answer.value.items.filter(({ id }) => !known.has(id))
      list.value = { state: 'ready', value: { ...answer.value, items: [...items, ...further] } }
    })
  }

  const change = (items: (items: T[]) => T[]) => {
    if (list.value.state !== 'ready') return
    list.value = { state: 'ready', value: { ...list.value.value, items: items(list.value.value.items) } }
  }

  return {
    list,
    busy,
    problem,
    look,
    more,
    /** Shows one as it is now. */
    put: (item: T) => change((items) => items.map((one) => (one.id === item.id ? item : one))),
    /** Shows one no more. */
    drop: (id: T['id']) => change((items) => items.filter((one) => one.id !== id)),
  }
}

/** A gap between the two is not papered over: then the first page stands alone again. */
function joined<T extends { id: string }>(first: Listed<T>, shown: Listed<T>): Listed<T> {
  const fresh = new Set(first.items.map(({ id }) => id))
  const last = first.items.at(-1)?.id
  const at = shown.items.findIndex(({ id }) => id === last)
  if (at === -1 || first.nextCursor === undefined) return first
  const rest = shown.items.slice(at + 1).filter(({ id }) => !fresh.has(id))
  return rest.length === 0 ? first : { items: [...first.items, ...rest], nextCursor: shown.nextCursor }
}
