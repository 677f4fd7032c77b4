import { useLocation } from 'preact-iso'
import { mayRun } from '../../may-run.ts'
import { Confirm } from '../../ui/confirm.tsx'
import { text } from '../../ui/form.tsx'
import { Reason, reasonIn } from '../../ui/reason.tsx'
import type { Mark } from './hand.ts'
import type { RunModel } from './model.ts'
import { isOver, isStepOver, type Run, type Step } from './run.ts'

export type HandsProps = {
  run: Run
  model: InstanceType<typeof RunModel>
  say: (text: string) => void
}

/** What can be done about the whole run, by who may do it. */
export function Hands({ run, model, say }: HandsProps) {
  if (!mayRun(run.pipelineId)) return null
  if (isOver(run)) return <RunAgain run={run} model={model} />
  if (run.state === 'cancelling') return null
  return (
    <>
      <Confirm
        word="Cancel this run"
        title="Cancel this run?"
        action="Cancel the run"
        keep="Let it go on"
        act={() => model.cancel()}
        done={() => say('The run is asked to stop.')}
      >
        <p>What is at work stops, and nothing more of it begins. What it has written so far stays written.</p>
      </Confirm>
      <Confirm
        word="Mark this run"
        title="Say how this run has ended"
        action="Mark it"
        act={(form) => model.mark(markIn(form))}
        done={() => say('The run is marked.')}
      >
        <p>Its open steps are cancelled, and the run ends as you say. This cannot be taken back.</p>
        <MarkFields />
      </Confirm>
    </>
  )
}

/** What can be done about one step. */
export function StepHands({ run, step, model, say }: HandsProps & { step: Step }) {
  if (!mayRun(run.pipelineId)) return null
  if (isOver(run)) return <RunAgain run={run} model={model} from={step.key} />
  if (isStepOver(step) || step.state === 'pending' || run.state === 'cancelling') return null
  return (
    <Confirm
      word="Mark this step"
      title={`Say how ${step.key} has ended`}
      action="Mark it"
      act={(form) => model.markStep(step.key, markIn(form))}
      done={() => say(`The step ${step.key} is marked.`)}
    >
      <p>
        Whoever works on it loses it, and what needs it goes on from what you say. What it is doing at this
        moment in another system may still happen there.
      </p>
      <MarkFields />
    </Confirm>
  )
}

const markIn = (form: FormData): Mark => ({
  as: text(form, 'as') === 'succeeded' ? 'succeeded' : 'failed',
  reason: text(form, 'reason').trim(),
})

function MarkFields() {
  return (
    <>
      <label>
        As
        <select name="as" required>
          <option value="">choose</option>
          <option>succeeded</option>
          <option>failed</option>
        </select>
      </label>
      <Reason required />
    </>
  )
}

type RunAgainProps = Pick<HandsProps, 'run' | 'model'> & { from?: string }

/** A run that is over is done again as another run. */
function RunAgain({ run, model, from }: RunAgainProps) {
  const { route } = useLocation()
  const hasFailed = run.steps.some(({ state }) => state === 'failed' || state === 'cancelled')
  return (
    <Confirm
      word={from === undefined ? 'Run again' : 'Run again from here'}
      title={from === undefined ? 'Run this again?' : `Run again from ${from}?`}
      action="Start it"
      act={(form) =>
        model.rerun({
          from: from ?? text(form, 'from'),
          version: text(form, 'version') === 'current' ? 'current' : 'same',
          ...reasonIn(form),
        })
      }
      done={({ id }) => route(`/runs/${id}`)}
    >
      <p>
        Another run is started. It takes over what it does not do again, with the parameters and the data of
        this one.
      </p>
      {from === undefined && (
        <label>
          What
          <select name="from">
            {hasFailed && <option value="failed">what failed, and all after it</option>}
            <option value="all">everything</option>
            {run.steps.map(({ key }) => (
              <option key={key} value={key}>
                {key}, and all after it
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        By which definition
        <select name="version">
          <option value="same">version {run.version}, as it was then</option>
          <option value="current">the current version</option>
        </select>
      </label>
      <Reason />
    </Confirm>
  )
}
