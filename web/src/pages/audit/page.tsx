import { useModel } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { addressOf } from '../../address.ts'
import { api } from '../../browser.ts'
import { download } from '../../download.ts'
import { may } from '../../may.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { asked, filterOf, type Filter } from './filter.ts'
import { FilterForm } from './filter-form.tsx'
import { ActorsModel, AuditModel } from './model.ts'
import styles from './page.module.css'
import { AuditTable } from './table.tsx'

/** Who did what, when and from where; nobody can change it. */
export function AuditPage() {
  return (
    <SettingsPage title="Audit" needs="audit:read">
      {() => <Audit />}
    </SettingsPage>
  )
}

function Audit() {
  const { query } = useLocation()
  const { names, load } = useModel(() => new ActorsModel(api, may))
  useEffect(() => void load(), [load])
  const filter = filterOf((name) => query[name])
  const key = JSON.stringify(filter)
  return (
    <>
      <FilterForm key={`form ${key}`} filter={filter} names={names.value} />
      <Entries key={key} filter={filter} names={names.value} />
    </>
  )
}

type EntriesProps = { filter: Filter; names: ReadonlyMap<string, string> }

function Entries({ filter, names }: EntriesProps) {
  const { entries } = useModel(() => new AuditModel(api, filter))
  useEffect(() => void entries.look(), [entries])
  return (
    <>
      <Loaded of={entries.list} retry={() => void entries.look()}>
        {({ items, nextCursor }) => (
          <>
            {items.length === 0 ? (
              <p>
                {Object.keys(filter).length === 0 ? 'Nothing has been noted yet.' : 'No entry fits this.'}
              </p>
            ) : (
              <AuditTable entries={items} names={names} />
            )}
            <More model={entries} has={nextCursor !== undefined} />
            <h2>Take it with you</h2>
            <p>All entries that fit what is asked for above, not only those that are shown.</p>
            <p class={styles.exports}>
              <Export format="csv" filter={filter} />
              <Export format="ndjson" filter={filter} />
            </p>
          </>
        )}
      </Loaded>
    </>
  )
}

function Export({ format, filter }: { format: 'csv' | 'ndjson'; filter: Filter }) {
  const href = addressOf('/v1/audit/export', { format, ...asked(filter) })
  return (
    <a
      href={href}
      download
      onClick={(event) => {
        event.preventDefault()
        void download(href)
      }}
    >
      {format === 'csv' ? 'Export as CSV' : 'Export as JSON lines'}
    </a>
  )
}
