import type { ComponentChildren } from 'preact'
import styles from './filters.module.css'

/** What narrows a list, side by side; it takes effect at once. */
export function Filters({ children }: { children: ComponentChildren }) {
  return <search class={styles.filters}>{children}</search>
}

type ChoiceProps = {
  label: string
  value: string | undefined
  /** What stands for no choice. */
  none?: string
  options: readonly (readonly [value: string, words: string])[]
  choose: (value: string) => void
}

export function Choice({ label, value = '', none, options, choose }: ChoiceProps) {
  return (
    <label class={styles.choice}>
      {label}
      <select value={value} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        {none !== undefined && <option value="">{none}</option>}
        {options.map(([one, words]) => (
          <option key={one} value={one}>
            {words}
          </option>
        ))}
      </select>
    </label>
  )
}

type TypedProps = {
  label: string
  type: 'search' | 'date'
  value: string | undefined
  placeholder?: string
  choose: (value: string) => void
}

/** Takes effect when it is left, or on Enter. */
export function Typed({ label, type, choose, value = '', placeholder = '' }: TypedProps) {
  const onChange = ({ currentTarget }: { currentTarget: HTMLInputElement }) =>
    choose(currentTarget.value.trim())
  return (
    <label class={styles.choice}>
      {label}
      {type === 'date' ? (
        <input type="date" value={value} onChange={onChange} />
      ) : (
        <input type="search" value={value} placeholder={placeholder} maxLength={200} onChange={onChange} />
      )}
    </label>
  )
}
