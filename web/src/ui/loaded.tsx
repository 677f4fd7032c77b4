import type { ReadonlySignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import type { Load } from '../load.ts'
import { Alert } from './alert.tsx'
import { Waiting } from './waiting.tsx'

type LoadedProps<T> = {
  of: ReadonlySignal<Load<T>>
  retry: () => void
  children: (value: T) => ComponentChildren
}

export function Loaded<T>({ of, retry, children }: LoadedProps<T>) {
  const load = of.value
  switch (load.state) {
    case 'loading':
      return <Waiting />
    case 'failed':
      return <Alert problem={load.problem} {...(load.problem.status === 404 ? {} : { retry })} />
    case 'ready':
      return <>{children(load.value)}</>
  }
}
