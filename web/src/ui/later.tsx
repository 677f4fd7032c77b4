import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Waiting } from './waiting.tsx'

/**
 * A part of a page that is loaded when it is first shown; the rest of the page is there meanwhile. (preact-iso's `lazy` is
 * for whole pages: it keeps the page before until all of the next one is there.)
 */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let Loaded: ComponentType<P> | undefined
  return function Later(props: P) {
    const [outcome, setOutcome] = useState<{ failed: unknown } | 'loading' | 'loaded'>('loading')
    useEffect(() => {
      if (Loaded !== undefined) return
      load().then(
        (found) => {
          Loaded = found
          setOutcome('loaded')
        },
        (failed: unknown) => setOutcome({ failed }),
      )
    }, [])
    // As with a page that cannot be loaded, the console says so as a whole.
    if (typeof outcome === 'object') throw outcome.failed
    return Loaded === undefined ? <Waiting /> : <Loaded {...props} />
  }
}
