import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import type { Answered } from '../load.ts'
import styles from './confirm.module.css'
import { FormAlert, useSubmit } from './form.tsx'

type AskingProps = {
  title: string
  /** The word on the button that does it. */
  action: string
  act: (form: FormData) => Promise<Answered<unknown>>
  done: () => Promise<void> | void
  children: ComponentChildren
}

type ConfirmProps = AskingProps & {
  word: string
  /** The button's name for who does not see what it stands beside; begins with the word. */
  name?: string
}

/** A button for what cannot be taken back, or needs to be told more: it asks first. */
export function Confirm({ word, name = word, ...asking }: ConfirmProps) {
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

function Asking({ title, action, act, done, children, close }: AskingProps & { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])
  const { submit, busy, problem } = useSubmit(act, async () => {
    // Gives the focus back to the button, if that is still there.
    dialog.current?.close()
    await done()
  })
  return (
    <dialog ref={dialog} class={styles.dialog} aria-labelledby={id} onClose={close}>
      <form onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {children}
        <FormAlert problem={problem} shown={[]} />
        <p class={styles.actions}>
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" data-main disabled={busy.value}>
            {action}
          </button>
        </p>
      </form>
    </dialog>
  )
}
