import { useModel } from '@preact/signals'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { mayRun, mayRunAny } from '../../may-run.ts'
import { shortId } from '../../ui/figures.ts'
import { Filters } from '../../ui/filters.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { List } from '../../ui/list.tsx'
import { Page } from '../../ui/page.tsx'
import { PipelineChoice, usePipelineNames, type Names } from '../../ui/pipeline-choice.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { ownZone, Time } from '../../ui/time.tsx'
import { useFilter } from '../../ui/use-filter.ts'
import { rangeWords, type Backfill } from './backfill.ts'
import { BackfillsModel } from './model.ts'
import { Progress } from './progress.tsx'

export function BackfillsPage() {
  const { filter, choose } = useFilter(['pipelineId'])
  const names = usePipelineNames()
  const pipelineId = isId('pip', filter.pipelineId) ? filter.pipelineId : undefined
  return (
    <Page title="Backfills">
      <GroupNav of="runs" />
      <Filters>
        <PipelineChoice
          names={names.value}
          value={pipelineId}
          choose={(value) => choose('pipelineId', value)}
        />
        {(pipelineId === undefined ? mayRunAny() : mayRun(pipelineId)) && (
          <a href={`/backfills/new${pipelineId === undefined ? '' : `?pipelineId=${pipelineId}`}`}>
            Start a backfill
          </a>
        )}
      </Filters>
      <Backfills key={pipelineId} pipelineId={pipelineId} names={names.value} />
    </Page>
  )
}

function Backfills({ pipelineId, names }: { pipelineId: Backfill['pipelineId'] | undefined; names: Names }) {
  const { backfills } = useModel(() => new BackfillsModel(api, visible, pipelineId))
  return (
    <List
      model={backfills}
      empty={`${
        pipelineId === undefined ? 'There is no backfill yet.' : 'This pipeline has no backfill yet.'
      } A backfill runs a pipeline once for each hour, day or month of a range.`}
    >
      {(items) => (
        <Table caption={`The backfills, the newest first; times in ${ownZone}`}>
          <thead>
            <tr>
              <th scope="col">Range</th>
              <th scope="col">Pipeline</th>
              <th scope="col">State</th>
              <th scope="col">Runs</th>
              <th scope="col">Started</th>
            </tr>
          </thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.id}>
                <th scope="row">
                  <a href={`/backfills/${one.id}`}>{rangeWords(one)}</a>
                </th>
                <td data-label="Pipeline" data-wide>
                  <a href={`/pipelines/${one.pipelineId}`}>
                    {names.get(one.pipelineId) ?? shortId(one.pipelineId)}
                  </a>
                </td>
                <td data-label="State">
                  <StatusPill state={one.state} />
                </td>
                <td data-label="Runs" data-wide>
                  <Progress of={one} />
                </td>
                <td data-label="Started">
                  <Time at={one.createdAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </List>
  )
}
