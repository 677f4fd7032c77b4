import { useModel } from '@preact/signals'
import { useLocation } from 'preact-iso'
import type { RunState } from '#src/domain/run-state.ts'
import { api, visible } from '../../browser.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Page } from '../../ui/page.tsx'
import { stateWords } from '../../ui/status-pill.tsx'
import { RunsModel, type RunFilter } from './model.ts'
import { RunsTable } from './table.tsx'
import styles from './page.module.css'

/** By what somebody looks for first; a record, so that none is forgotten. */
const states = Object.keys({
  running: true,
  queued: true,
  waiting: true,
  failed: true,
  succeeded: true,
  succeeded_with_warnings: true,
  cancelling: true,
  cancelled: true,
} satisfies Record<RunState, true>) as RunState[]

export function RunsPage() {
  const { query, route } = useLocation()
  const state = states.find((one) => one === query['state'])
  return (
    <Page title="Runs">
      <label class={styles.filter}>
        State
        <select
          value={state ?? ''}
          onChange={({ currentTarget: { value } }) => route(value === '' ? '/runs' : `/runs?state=${value}`)}
        >
          <option value="">any</option>
          {states.map((one) => (
            <option key={one} value={one}>
              {stateWords(one)}
            </option>
          ))}
        </select>
      </label>
      <RunList key={state} filter={state === undefined ? {} : { state }} />
    </Page>
  )
}

function RunList({ filter }: { filter: RunFilter }) {
  const { runs } = useModel(() => new RunsModel(api, visible, filter))
  return (
    <Loaded of={runs.list} retry={() => void runs.look()}>
      {({ items, nextCursor }) =>
        items.length === 0 ? (
          <p>
            {filter.state === undefined ? 'Nothing has run yet.' : `No run is ${stateWords(filter.state)}.`}
          </p>
        ) : (
          <>
            <RunsTable runs={items} caption="The runs, the newest first" />
            <More model={runs} has={nextCursor !== undefined} />
          </>
        )
      }
    </Loaded>
  )
}
