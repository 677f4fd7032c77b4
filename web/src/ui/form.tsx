import { useSignal, type ReadonlySignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'
import type { Answered, ApiProblem } from '../load.ts'
import { Alert } from './alert.tsx'
import styles from './form.module.css'

/** What was typed into the field of this name. */
export function text(form: FormData, name: string): string {
  const value = form.get(name)
  return typeof value === 'string' ? value : ''
}

/** Sends a form, one at a time; `then` happens when that has worked. What was typed stays when it has not. */
export function useSubmit<T>(
  send: (form: FormData) => Promise<Answered<T>>,
  then: (value: T, form: HTMLFormElement) => Promise<void> | void,
) {
  const busy = useSignal(false)
  const problem = useSignal<ApiProblem | undefined>(undefined)
  const run = async (form: HTMLFormElement) => {
    if (busy.value) return
    busy.value = true
    try {
      const answer = await send(new FormData(form))
      problem.value = answer.state === 'failed' ? answer.problem : undefined
      if (answer.state === 'ready') await then(answer.value, form)
      else setTimeout(() => form.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())
    } finally {
      busy.value = false
    }
  }
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (event.currentTarget instanceof HTMLFormElement) void run(event.currentTarget)
  }
  return { submit, busy, problem }
}

/** What the input of a field takes over. */
export type FieldAttributes = {
  id: string
  name: string
  'aria-invalid'?: boolean
  'aria-label'?: string
  'aria-describedby'?: string
}

type FieldProps = {
  label: string
  name: string
  /** The problem's name of the field, where that is another. */
  path?: string
  hint?: string
  problem: ReadonlySignal<ApiProblem | undefined>
  children: (attributes: FieldAttributes) => ComponentChildren
}

/** A label, its input, and what the server said about it. */
export function Field({ label, name, path = name, hint, problem, children }: FieldProps) {
  const id = useId()
  const message = messageOf(problem.value, path)
  const below = message ?? hint
  return (
    <div class={styles.field}>
      <label for={id}>{label}</label>
      {children({
        id,
        name,
        'aria-invalid': message !== undefined,
        ...(below === undefined ? {} : { 'aria-describedby': `${id}-below` }),
      })}
      {below !== undefined && (
        <p id={`${id}-below`} class={message === undefined ? styles.hint : styles.wrong}>
          {below}
        </p>
      )}
    </div>
  )
}

/** What is wrong with it, or with one of its lines. */
function messageOf(problem: ApiProblem | undefined, path: string): string | undefined {
  const found = problem?.fields?.find((field) => isOf(path, field.path))
  const line = Number(found?.path.slice(path.length + 1) || Number.NaN)
  return found && Number.isInteger(line) ? `Line ${line + 1} ${found.message}` : found?.message
}

const isOf = (path: string, of: string): boolean => of === path || of.startsWith(`${path}.`)

/** A form as a card of its own. */
export function Form({ submit, children, label }: FormProps) {
  return (
    <form class={styles.form} onSubmit={submit} {...(label === undefined ? {} : { 'aria-label': label })}>
      {children}
    </form>
  )
}

type FormProps = {
  submit: (event: SubmitEvent) => void
  /** Its name, where no heading says it. */
  label?: string
  children: ComponentChildren
}

/** The button that sends a form, and what it says meanwhile. */
export function SubmitButton({ busy, word, busyWord = word }: SubmitButtonProps) {
  return (
    <button type="submit" data-main disabled={busy.value}>
      {busy.value ? busyWord : word}
    </button>
  )
}

type SubmitButtonProps = { busy: ReadonlySignal<boolean>; word: string; busyWord?: string }

type FormAlertProps = { problem: ReadonlySignal<ApiProblem | undefined>; shown: readonly string[] }

/** The problem of a whole form: without the fields that say it themselves. */
export function FormAlert({ problem, shown }: FormAlertProps) {
  if (problem.value === undefined) return null
  const { fields = [], ...rest } = problem.value
  return (
    <Alert
      problem={{ ...rest, fields: fields.filter(({ path }) => !shown.some((one) => isOf(one, path))) }}
    />
  )
}
