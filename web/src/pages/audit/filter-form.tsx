import { useLocation } from 'preact-iso'
import { useId } from 'preact/hooks'
import { addressOf } from '../../address.ts'
import { text } from '../../ui/form.tsx'
import { filterOf, type Filter } from './filter.ts'
import styles from './filter-form.module.css'

type FilterFormProps = { filter: Filter; names: ReadonlyMap<string, string> }

/** What things begin with that are often looked for. */
const kinds = [
  'account.',
  'access.refused',
  'api-key.',
  'audit.',
  'connection.',
  'factor.',
  'invitation.',
  'member.',
  'pipeline.',
  'run.',
  'service-account.',
  'session.',
  'tenant.',
]

/** Asks for entries; the answer has an address of its own. */
export function FilterForm({ filter, names }: FilterFormProps) {
  const { route } = useLocation()
  const id = useId()
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    const form = new FormData(event.currentTarget)
    route(
      addressOf(
        '/audit',
        filterOf((name) => text(form, name)),
      ),
    )
  }
  return (
    <search>
      <form class={styles.filter} onSubmit={submit}>
        <label>
          Search
          <input
            name="search"
            type="search"
            value={filter.search}
            maxLength={200}
            placeholder="a name or a value"
          />
        </label>
        <label>
          What
          <input
            name="action"
            list={id}
            value={filter.action}
            pattern="[a-z][a-z_.\-]*"
            title="the beginning of an action, such as pipeline.update"
            autoComplete="off"
            placeholder="anything"
          />
        </label>
        <datalist id={id}>
          {kinds.map((kind) => (
            <option key={kind}>{kind}</option>
          ))}
        </datalist>
        <label>
          Who
          {names.size === 0 ? (
            <input name="actor" value={filter.actor} maxLength={128} autoComplete="off" placeholder="an id" />
          ) : (
            <select name="actor" value={filter.actor ?? ''}>
              <option value="">anybody</option>
              {filter.actor !== undefined && !names.has(filter.actor) && <option>{filter.actor}</option>}
              {[...names].map(([actor, name]) => (
                <option key={actor} value={actor}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </label>
        <label>
          From
          <input name="from" type="date" value={filter.from} />
        </label>
        <label>
          To
          <input name="to" type="date" value={filter.to} />
        </label>
        <p class={styles.buttons}>
          <button type="submit" data-main>
            Look
          </button>
          {Object.keys(filter).length > 0 && <a href="/audit">Show all</a>}
        </p>
      </form>
    </search>
  )
}
