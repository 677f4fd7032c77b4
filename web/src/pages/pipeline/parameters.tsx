import type { ReadonlySignal } from '@preact/signals'
import type { ApiProblem } from '../../load.ts'
import { Field, text, type FieldAttributes } from '../../ui/form.tsx'
import { typedParameters, type Parameters } from './model.ts'
import styles from './run-now.module.css'

/** What was typed into the fields of the parameters. */
export const parametersIn = (parameters: Parameters, form: FormData) =>
  typedParameters(parameters, (name) => text(form, `parameter ${name}`))

/** How the problem of a request names the parameters. */
export const parameterPaths = (parameters: Parameters): string[] =>
  Object.keys(parameters).map((name) => `parameters.${name}`)

type ParameterFieldsProps = { parameters: Parameters; problem: ReadonlySignal<ApiProblem | undefined> }

/** A field for each parameter; one that is left empty has its default. */
export function ParameterFields({ parameters, problem }: ParameterFieldsProps) {
  const all = Object.entries(parameters)
  if (all.length === 0) return null
  return (
    <details open={all.some(([, parameter]) => parameter.default === undefined)}>
      <summary>Parameters</summary>
      <div class={styles.parameters}>
        {all.map(([name, parameter]) => (
          <Field
            key={name}
            label={name}
            name={`parameter ${name}`}
            path={`parameters.${name}`}
            hint={hint(parameter)}
            problem={problem}
          >
            {(field) => <ParameterInput field={field} parameter={parameter} />}
          </Field>
        ))}
      </div>
    </details>
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
