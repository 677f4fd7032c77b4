import { useSignal } from '@preact/signals'

/** Puts a text on the clipboard; browsers refuse that where a site is not secure. */
export function CopyButton({ text, name }: { text: string; name: string }) {
  const said = useSignal('')
  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
      said.value = 'Copied'
    } catch {
      said.value = 'Select it and press Ctrl+C'
    }
  }
  return (
    <>
      <button type="button" aria-label={name} onClick={() => void copy()}>
        Copy
      </button>
      <output>{said.value}</output>
    </>
  )
}
