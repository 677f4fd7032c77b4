import type { ReadonlySignal } from '@preact/signals'
import type { ApiProblem } from '../load.ts'
import { Alert } from './alert.tsx'
import styles from './more.module.css'

type MoreProps = {
  model: {
    busy: ReadonlySignal<boolean>
    problem: ReadonlySignal<ApiProblem | undefined>
    more(): Promise<void>
  }
  /** Whether there is anything further. */
  has: boolean
}

/** What stands below a list: its next page, and why what is shown may not be the newest. */
export function More({ model, has }: MoreProps) {
  const problem = model.problem.value
  return (
    <div class={styles.more}>
      {problem && <Alert problem={problem} />}
      {has && (
        <button type="button" disabled={model.busy.value} onClick={() => void model.more()}>
          {model.busy.value ? 'Loading…' : 'More'}
        </button>
      )}
    </div>
  )
}
