import type { ReadonlySignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import type { Load } from '../load.ts'
import { Alert } from './alert.tsx'

export function Loaded<T>({ of, children }: { of: ReadonlySignal<Load<T>>; children: (value: T) => ComponentChildren }) {
  const load = of.value
  switch (load.state) {
    case 'loading':
      return <p role="status">Loading…</p>
    case 'failed':
      return <Alert problem={load.problem} />
    case 'ready':
      return <>{children(load.value)}</>
  }
}
