import { useSignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { ask, type Client } from '../../api.ts'
import { api } from '../../browser.ts'
import { loading, type Load } from '../../load.ts'
import { Loaded } from '../../ui/loaded.tsx'
import type { Run } from './run.ts'
import styles from './step.module.css'

type Answer = InferResponseType<Client['v1']['runs'][':id']['steps'][':step']['$get'], 200>

/** What the step has given to those that name it; asked for when somebody wants to see it. */
export function Output({ id, step }: { id: Run['id']; step: string }) {
  const found = useSignal<Load<Answer>>(loading)
  const isAsked = useSignal(false)
  const look = async () => {
    isAsked.value = true
    found.value = loading
    found.value = await ask<Answer>(api.v1.runs[':id'].steps[':step'].$get({ param: { id, step } }))
  }
  return (
    <details
      class={styles.output}
      onToggle={({ currentTarget: { open } }) => {
        if (open && !isAsked.value) void look()
      }}
    >
      <summary>What it gave</summary>
      {isAsked.value && (
        <Loaded of={found} retry={() => void look()}>
          {({ output }) =>
            output === undefined ? (
              <p>Nothing but its rows.</p>
            ) : (
              // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse
              <pre tabIndex={0} aria-label={`What ${step} gave`}>
                {JSON.stringify(output, null, 2)}
              </pre>
            )
          }
        </Loaded>
      )}
    </details>
  )
}
