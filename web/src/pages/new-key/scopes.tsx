import type { ReadonlySignal, Signal } from '@preact/signals'
import { useId } from 'preact/hooks'
import type { Permission } from '#src/domain/role.ts'
import type { ApiProblem } from '../../load.ts'
import { permissions } from '../../may.ts'
import { presets, scopeRows } from './scope-rows.ts'
import styles from './scopes.module.css'

type ScopesProps = {
  chosen: Signal<ReadonlySet<Permission>>
  toggle: (scope: Permission) => void
  problem: ReadonlySignal<ApiProblem | undefined>
}

/** What a key is to allow: of what one may do oneself. */
export function Scopes({ chosen, toggle, problem }: ScopesProps) {
  const id = useId()
  const own = permissions()
  const wrong = problem.value?.fields?.find(({ path }) => path.startsWith('scopes'))?.message
  const box = (name: string, word: 'read' | 'write', scope: Permission | undefined) =>
    scope && (
      <label>
        <input
          type="checkbox"
          name="scopes"
          value={scope}
          aria-label={`${word} ${name}`}
          checked={chosen.value.has(scope)}
          onChange={() => toggle(scope)}
        />{' '}
        {word}
      </label>
    )
  return (
    <fieldset class={styles.scopes} {...(wrong === undefined ? {} : { 'aria-describedby': id })}>
      <legend>What it allows</legend>
      <p class={styles.presets}>
        {presets.map(({ name, fits }) => (
          <button key={name} type="button" onClick={() => (chosen.value = new Set(own.filter(fits)))}>
            {name}
          </button>
        ))}
      </p>
      <ul>
        {scopeRows(own).map(({ name, read, write }) => (
          <li key={name}>
            <span>{name}</span>
            {box(name, 'read', read)}
            {box(name, 'write', write)}
          </li>
        ))}
      </ul>
      {wrong !== undefined && (
        <p id={id} class={styles.wrong}>
          {chosen.value.size === 0 ? 'Choose at least one' : wrong}
        </p>
      )}
    </fieldset>
  )
}
