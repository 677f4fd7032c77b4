import { useModel } from '@preact/signals'
import type { RunState } from '#src/domain/run-state.ts'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { Choice, Filters } from '../../ui/filters.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { List } from '../../ui/list.tsx'
import { Page } from '../../ui/page.tsx'
import { PipelineChoice, usePipelineNames } from '../../ui/pipeline-choice.tsx'
import { stateWords } from '../../ui/status-pill.tsx'
import { useFilter } from '../../ui/use-filter.ts'
import { RunsModel, type RunFilter } from './model.ts'
import { RunsTable } from './table.tsx'

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
const stateOptions = states.map((state) => [state, stateWords(state)] as const)

export function RunsPage() {
  const { filter, choose } = useFilter(['state', 'pipelineId'])
  const names = usePipelineNames()
  const state = states.find((one) => one === filter.state)
  const asked: RunFilter = {
    ...(state && { state }),
    ...(isId('pip', filter.pipelineId) && { pipelineId: filter.pipelineId }),
  }
  return (
    <Page title="Runs">
      <GroupNav of="runs" />
      <Filters>
        <Choice
          label="State"
          value={state}
          none="any"
          options={stateOptions}
          choose={(value) => choose('state', value)}
        />
        <PipelineChoice
          names={names.value}
          value={asked.pipelineId}
          choose={(value) => choose('pipelineId', value)}
        />
      </Filters>
      <RunList key={JSON.stringify(asked)} filter={asked} />
    </Page>
  )
}

function RunList({ filter }: { filter: RunFilter }) {
  const { runs } = useModel(() => new RunsModel(api, visible, filter))
  return (
    <List model={runs} empty={emptyWords(filter)}>
      {(items) => <RunsTable runs={items} caption="The runs, the newest first" />}
    </List>
  )
}

function emptyWords({ state, pipelineId }: RunFilter): string {
  if (state !== undefined) return `No run ${pipelineId ? 'of this pipeline ' : ''}is ${stateWords(state)}.`
  return pipelineId ? 'This pipeline has not run yet.' : 'Nothing has run yet.'
}
