import { Fact, Facts } from '../../ui/facts.tsx'
import { shortId } from '../../ui/figures.ts'
import { Section } from '../../ui/section.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Time } from '../../ui/time.tsx'
import { StepHands, type HandsProps } from './hands.tsx'
import { Items } from './items.tsx'
import { Output } from './output.tsx'
import type { Step } from './run.ts'
import styles from './step.module.css'
import { waitWords } from './waits.ts'

/** The step that is chosen: why it is as it is, and what can be done about it. */
export function OneStep(props: HandsProps & { step: Step }) {
  const { run, step, model } = props
  const waits = waitWords(step)
  const until = waits === undefined ? undefined : model.untils.value.get(step.key)
  return (
    <Section title={`Step ${step.key}`} next>
      <div class={styles.head}>
        <StatusPill state={step.state} />
        <StepHands {...props} />
        <a href={`/runs/${run.id}`}>Close</a>
      </div>
      {step.error && (
        <p class={styles.error}>
          <strong>{step.state === 'failed' ? 'Failed' : 'The last attempt failed'}</strong>:{' '}
          {step.error.message} <code>{step.error.code}</code>
        </p>
      )}
      <Facts>
        <Fact name="Kind">{step.kind}</Fact>
        <Fact name="Attempts">{step.attempt}</Fact>
        {step.startedAt !== undefined && (
          <Fact name="Began">
            <Time at={step.startedAt} zone />
          </Fact>
        )}
        {step.finishedAt !== undefined && (
          <Fact name="Ended">
            <Time at={step.finishedAt} zone />
          </Fact>
        )}
        {waits !== undefined && <Fact name="Waits for">{waits}</Fact>}
        {until !== undefined && (
          <Fact name="Until">
            <Time at={until} zone />
          </Fact>
        )}
        {step.copiedFrom !== undefined && (
          <Fact name="Taken over from">
            <a href={`/runs/${step.copiedFrom}`}>{shortId(step.copiedFrom)}</a>
          </Fact>
        )}
      </Facts>
      {step.state === 'succeeded' && <Output key={step.key} id={run.id} step={step.key} />}
      {step.kind === 'map' && step.startedAt !== undefined && (
        <div class={styles.items}>
          <Items {...props} />
        </div>
      )}
    </Section>
  )
}
