import { useModel } from '@preact/signals'
import { api, visible } from '../../browser.ts'
import { shortId } from '../../ui/figures.ts'
import { Choice, Filters } from '../../ui/filters.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { List } from '../../ui/list.tsx'
import { Page } from '../../ui/page.tsx'
import { PipelineChoice, usePipelineNames } from '../../ui/pipeline-choice.tsx'
import { stateWords } from '../../ui/status-pill.tsx'
import { useFilter } from '../../ui/use-filter.ts'
import { asked, filterNames, states } from './filter.ts'
import { RunsModel, type RunFilter } from './model.ts'
import { RunsTable } from './table.tsx'

const stateOptions = states.map((state) => [state, stateWords(state)] as const)

export function RunsPage() {
  const { filter, choose } = useFilter(filterNames)
  const names = usePipelineNames()
  const wanted = asked(filter)
  return (
    <Page title="Runs">
      <GroupNav of="runs" />
      <Filters>
        <Choice
          label="State"
          value={wanted.state}
          none="any"
          options={stateOptions}
          choose={(value) => choose('state', value)}
        />
        <PipelineChoice
          names={names.value}
          value={wanted.pipelineId}
          choose={(value) => choose('pipelineId', value)}
        />
        {wanted.backfillId !== undefined && (
          <Choice
            label="Backfill"
            value={wanted.backfillId}
            none="any"
            options={[[wanted.backfillId, shortId(wanted.backfillId)]]}
            choose={(value) => choose('backfillId', value)}
          />
        )}
      </Filters>
      <RunList key={JSON.stringify(wanted)} filter={wanted} />
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

function emptyWords({ state, pipelineId, backfillId }: RunFilter): string {
  const whose = backfillId ? 'of this backfill ' : pipelineId ? 'of this pipeline ' : ''
  if (state !== undefined) return `No run ${whose}is ${stateWords(state)}.`
  if (backfillId) return 'No run of this backfill has begun.'
  return pipelineId ? 'This pipeline has not run yet.' : 'Nothing has run yet.'
}
