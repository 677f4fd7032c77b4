import { useEffect, useRef } from 'preact/hooks'
import { CopyButton } from './copy-button.tsx'
import styles from './shown-key.module.css'

type ShownKeyProps = { made: { name: string; key: string }; done: () => void }

/** Shown this once: afterwards nobody can tell it, we included. */
export function ShownKey({ made, done }: ShownKeyProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [made.key])
  return (
    <section class={styles.shown} aria-labelledby="shown-key">
      <h2 id="shown-key" ref={heading} tabIndex={-1}>
        The key {made.name}
      </h2>
      <p>Keep it where secrets are kept, and nowhere else: it is shown only now.</p>
      <p class={styles.key}>
        <code>{made.key}</code> <CopyButton text={made.key} name="Copy the key" />
      </p>
      <details>
        <summary>How it is used</summary>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse */}
        <pre tabIndex={0}>{`curl ${location.origin}/v1/me -H 'Authorization: Bearer ${made.key}'`}</pre>
      </details>
      <p>
        <button type="button" data-main onClick={done}>
          I have kept it
        </button>
      </p>
    </section>
  )
}
