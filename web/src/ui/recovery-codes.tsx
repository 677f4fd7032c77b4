import { Section } from './section.tsx'
import styles from './recovery-codes.module.css'

/** Shown this once: afterwards nobody can tell them, we included. */
export function RecoveryCodes({ codes, done }: { codes: readonly string[]; done: () => void }) {
  return (
    <Section title="Your recovery codes" next>
      <p>
        Each opens your account once when nothing else is at hand. Keep them safe: they are shown only now.
      </p>
      <ul class={styles.codes}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <button type="button" data-main onClick={done}>
        I have kept them
      </button>
    </Section>
  )
}
