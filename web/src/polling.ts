import { effect, untracked, type ReadonlySignal } from '@preact/signals'

const longestMs = 60_000

/**
 * Looks at once and then every so often, but only while somebody can see it; after a failure less and less often. To be
 * called in a model: it ends with it.
 */
export function pollWhile(
  visible: ReadonlySignal<boolean>,
  everyMs: number,
  look: () => Promise<boolean>,
): void {
  effect(() => {
    if (!visible.value) return undefined
    let delayMs = everyMs
    let ended = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const turn = async () => {
      const succeeded = await look()
      if (ended) return
      delayMs = succeeded ? everyMs : Math.min(delayMs * 2, longestMs)
      timer = setTimeout(() => void turn(), delayMs)
    }
    untracked(() => void turn())
    return () => {
      ended = true
      clearTimeout(timer)
    }
  })
}
