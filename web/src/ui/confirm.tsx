import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import type { Answered } from '../load.ts'
import styles from './confirm.module.css'
import { FormAlert, useSubmit } from './form.tsx'

type AskingProps<T> = {
  title: string
  /** The word on the button that does it. */
  action: string
  act: (form: FormData) => Promise<Answered<T>>
  done: (value: T) => Promise<void> | void
  /** The word on the button that does nothing. */
  keep?: string
  children: ComponentChildren
}

type ConfirmProps<T> = AskingProps<T> & {
  word: string
  /** The button's name for who does not see what it stands beside; begins with the word. */
  name?: string
}

/** A button for what cannot be taken back, or needs to be told more: it asks first. */
export function Confirm<T>({ word, name = word, ...asking }: ConfirmProps<T>) {
  const isOpen = useSignal(false)
  return (
    <>
      <button type="button" aria-label={name} aria-haspopup="dialog" onClick={() => (isOpen.value = true)}>
        {word}
      </button>
      {isOpen.value && <Asking {...asking} close={() => (isOpen.value = false)} />}
    </>
  )
}

function Asking<T>(props: AskingProps<T> & { close: () => void }) {
  const { title, action, act, done, keep = 'Cancel', children, close } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])
  const { submit, busy, problem } = useSubmit(act, async (value) => {
    // Gives the focus back to the button, if that is still there.
    dialog.current?.close()
    await done(value)
  })
  return (
    <dialog ref={dialog} class={styles.dialog} aria-labelledby={id} onClose={close}>
      <form onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {children}
        <FormAlert problem={problem} shown={[]} />
        <p class={styles.actions}>
          <button type="button" onClick={() => dialog.current?.close()}>
            {keep}
          </button>
          <button type="submit" data-main disabled={busy.value}>
            {action}
          </button>
        </p>
      </form>
    </dialog>
  )
}
