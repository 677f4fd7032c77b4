import { mayRun } from '../../may-run.ts'
import { Confirm } from '../../ui/confirm.tsx'
import { shortId } from '../../ui/figures.ts'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { Reason, reasonIn } from '../../ui/reason.tsx'
import { Time } from '../../ui/time.tsx'
import type { Pipeline, PipelineModel } from './model.ts'
import styles from './pause.module.css'

type PauseProps = {
  pipeline: Pipeline
  model: InstanceType<typeof PipelineModel>
  say: (text: string) => void
}

/** That nothing of it starts, since when and why; and the way back. */
export function Paused({ pipeline: { id, name, paused }, model, say }: PauseProps) {
  const { submit, busy, problem } = useSubmit(
    () => model.resume(),
    () => say(`${name} goes on: what was queued meanwhile starts.`),
  )
  if (paused === undefined) return null
  return (
    <section class={styles.paused} aria-label="Paused">
      <p>
        <strong>Paused</strong> since <Time at={paused.at} zone /> by{' '}
        {model.names.value.get(paused.by) ?? shortId(paused.by)}
        {paused.reason === undefined ? '.' : `: ${paused.reason}`} Nothing of it starts until it is resumed.
      </p>
      {mayRun(id) && (
        <form onSubmit={submit}>
          <button type="submit" data-main disabled={busy.value}>
            Resume
          </button>
        </form>
      )}
      <FormAlert problem={problem} shown={[]} />
    </section>
  )
}

export function Pause({ pipeline: { id, name, paused }, model, say }: PauseProps) {
  if (paused !== undefined || !mayRun(id)) return null
  return (
    <Confirm
      word="Pause"
      title={`Pause ${name}?`}
      action="Pause it"
      act={(form) => model.pause(reasonIn(form))}
      done={() => say(`${name} is paused.`)}
    >
      <p>
        Nothing of it starts until somebody resumes it: what its schedules and triggers ask for meanwhile
        waits in the queue or is left out, as each of them says. What is at work goes on.
      </p>
      <Reason />
    </Confirm>
  )
}
