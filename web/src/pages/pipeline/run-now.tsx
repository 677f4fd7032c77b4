import { useLocation } from 'preact-iso'
import { Field, type FieldAttributes, FormAlert, text, useSubmit } from '../../ui/form.tsx'
import { typedParameters, type Pipeline, type PipelineModel } from './model.ts'
import styles from './run-now.module.css'

type Parameters = Pipeline['definition']['parameters']
type RunNowProps = { parameters: Parameters; start: InstanceType<typeof PipelineModel>['start'] }

/** Starts the pipeline, with its parameters' defaults or with others. */
export function RunNow({ parameters, start }: RunNowProps) {
  const { route } = useLocation()
  const all = Object.entries(parameters)
  const { submit, busy, problem } = useSubmit(
    (form) => start(typedParameters(parameters, (name) => text(form, name))),
    (run) => route(`/runs/${run.id}`),
  )
  return (
    <form class={styles.form} onSubmit={submit}>
      <FormAlert problem={problem} shown={all.map(([name]) => `parameters.${name}`)} />
      <button type="submit" data-main disabled={busy.value}>
        {busy.value ? 'Starting…' : 'Run now'}
      </button>
      {all.length > 0 && (
        <details open={all.some(([, parameter]) => parameter.default === undefined)}>
          <summary>Parameters</summary>
          <div class={styles.parameters}>
            {all.map(([name, parameter]) => (
              <Field
                key={name}
                label={name}
                name={name}
                path={`parameters.${name}`}
                hint={hint(parameter)}
                problem={problem}
              >
                {(field) => <ParameterInput field={field} parameter={parameter} />}
              </Field>
            ))}
          </div>
        </details>
      )}
    </form>
  )
}

type ParameterInputProps = { field: FieldAttributes; parameter: Parameters[string] }

function ParameterInput({ field, parameter: { type, default: fallback } }: ParameterInputProps) {
  const required = fallback === undefined
  if (type === 'date') return <input {...field} type="date" required={required} />
  if (type !== 'boolean') return <input {...field} type="text" required={required} />
  return (
    <select {...field} required={required}>
      <option value="">{required ? 'choose' : 'by default'}</option>
      <option>true</option>
      <option>false</option>
    </select>
  )
}

const hint = ({ type, default: fallback }: Parameters[string]) =>
  fallback === undefined ? `${type}, required` : `${type}, ${String(fallback)} by default`
