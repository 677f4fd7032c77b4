import { useLocation } from 'preact-iso'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import type { Parameters, PipelineModel } from './model.ts'
import { ParameterFields, parameterPaths, parametersIn } from './parameters.tsx'
import styles from './run-now.module.css'

type RunNowProps = { parameters: Parameters; start: InstanceType<typeof PipelineModel>['start'] }

/** Starts the pipeline, with its parameters' defaults or with others. */
export function RunNow({ parameters, start }: RunNowProps) {
  const { route } = useLocation()
  const { submit, busy, problem } = useSubmit(
    (form) => start(parametersIn(parameters, form)),
    (run) => route(`/runs/${run.id}`),
  )
  return (
    <form class={styles.form} onSubmit={submit}>
      <FormAlert problem={problem} shown={parameterPaths(parameters)} />
      <button type="submit" data-main disabled={busy.value}>
        {busy.value ? 'Starting…' : 'Run now'}
      </button>
      <ParameterFields parameters={parameters} problem={problem} />
    </form>
  )
}
