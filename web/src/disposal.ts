import { effect } from '@preact/signals'

/** Aborted when the model that this is called in is disposed of. */
export function untilDisposed(): AbortSignal {
  const aborting = new AbortController()
  effect(() => () => aborting.abort())
  return aborting.signal
}
