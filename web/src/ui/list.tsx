import type { ReadonlySignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import type { Listed } from '../list.ts'
import type { ApiProblem, Load } from '../load.ts'
import { Loaded } from './loaded.tsx'
import { More } from './more.tsx'

type ListProps<T> = {
  model: {
    list: ReadonlySignal<Load<Listed<T>>>
    busy: ReadonlySignal<boolean>
    problem: ReadonlySignal<ApiProblem | undefined>
    look(): Promise<boolean>
    more(): Promise<void>
  }
  /** What is said where there is none. */
  empty: ComponentChildren
  children: (items: readonly T[]) => ComponentChildren
}

/** A list as it is read page by page: what there is of it, its further pages, and why it may not be the newest. */
export function List<T>({ model, empty, children }: ListProps<T>) {
  return (
    <Loaded of={model.list} retry={() => void model.look()}>
      {({ items, nextCursor }) => (
        <>
          {items.length === 0 ? <p>{empty}</p> : children(items)}
          <More model={model} has={nextCursor !== undefined} />
        </>
      )}
    </Loaded>
  )
}
