import type { ReadonlySignal } from '@preact/signals'
import type { ApiProblem } from '../load.ts'
import { Field } from './form.tsx'

type NewPasswordProps = {
  label?: string
  path?: string
  problem: ReadonlySignal<ApiProblem | undefined>
}

/** A password that is being chosen: there are no other rules than its length, and that it is in no stolen list. */
export function NewPassword({ label = 'Password', path = 'password', problem }: NewPasswordProps) {
  return (
    <Field
      label={label}
      name="password"
      path={path}
      hint="At least 8 characters, any you like"
      problem={problem}
    >
      {(field) => (
        <input
          {...field}
          type="password"
          autoComplete="new-password"
          minLength={8}
          maxLength={256}
          required
        />
      )}
    </Field>
  )
}
