import { Time } from '../../ui/time.tsx'
import { Decision } from '../approvals/decision.tsx'
import type { HandsProps } from './hands.tsx'
import styles from './page.module.css'

/** What the run waits for somebody to approve. That of the items of a map stands with those. */
export function Approvals({ run, model, say }: HandsProps) {
  const asking = run.steps.flatMap(({ key, waitsFor }) =>
    waitsFor?.approval ? [{ key, ...waitsFor.approval }] : [],
  )
  return (
    <>
      {asking.map(({ key, message, roles }) => {
        const until = model.untils.value.get(key)
        return (
          <section key={key} class={styles.asked} aria-label={`Approval of ${key}`}>
            <p>
              <strong>{key}</strong> waits for approval{message === undefined ? '.' : `: ${message}`}
            </p>
            {until !== undefined && (
              <p>
                Without it the step fails at <Time at={until} zone />.
              </p>
            )}
            <Decision
              of={key}
              pipelineId={run.pipelineId}
              message={message}
              roles={roles}
              decide={(isApproved, comment) => model.decide(key, {}, isApproved, comment)}
              say={say}
            />
          </section>
        )
      })}
    </>
  )
}
