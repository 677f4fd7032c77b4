import { useModel, useSignal } from '@preact/signals'
import type { AlertState } from '#src/domain/alert.ts'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { may } from '../../may.ts'
import { Choice, Filters } from '../../ui/filters.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { List } from '../../ui/list.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { PipelineChoice, usePipelineNames } from '../../ui/pipeline-choice.tsx'
import { useFilter } from '../../ui/use-filter.ts'
import { AlertsModel, type AlertQuery } from './model.ts'
import { AlertsTable } from './table.tsx'
import { alertKinds, kindWords } from './words.ts'

const alertStates = Object.keys({ open: true, resolved: true } satisfies Record<
  AlertState,
  true
>) as AlertState[]
const anyState = 'any'
const states = [...alertStates, anyState].map((state) => [state, state] as const)
const kinds = alertKinds.map((kind) => [kind, kindWords[kind]] as const)

/** What went wrong or is about to, and whether somebody has seen to it. */
export function AlertsPage() {
  const { filter, choose } = useFilter(['state', 'kind', 'pipelineId', 'runId'])
  const names = usePipelineNames()
  const wanted = filter.state ?? 'open'
  const state = alertStates.find((one) => one === wanted)
  const kind = alertKinds.find((one) => one === filter.kind)
  const asked: AlertQuery = {
    ...(state && { state }),
    ...(kind && { kind }),
    ...(isId('pip', filter.pipelineId) && { pipelineId: filter.pipelineId }),
    ...(isId('run', filter.runId) && { runId: filter.runId }),
  }
  return (
    <Page title="Alerts">
      <GroupNav of="attention" />
      <Filters>
        <Choice
          label="State"
          value={wanted}
          options={states}
          choose={(value) => choose('state', value === 'open' ? '' : value)}
        />
        <Choice
          label="Kind"
          value={kind}
          none="any"
          options={kinds}
          choose={(value) => choose('kind', value)}
        />
        <PipelineChoice
          names={names.value}
          value={filter.pipelineId}
          choose={(value) => choose('pipelineId', value)}
        />
      </Filters>
      <Alerts key={JSON.stringify(asked)} asked={asked} />
    </Page>
  )
}

function Alerts({ asked }: { asked: AlertQuery }) {
  const model = useModel(() => new AlertsModel(api, { visible, may }, asked))
  const said = useSignal('')
  return (
    <>
      <Notice text={said} />
      <List model={model.alerts} empty={emptyWords(asked)}>
        {(items) => <AlertsTable alerts={items} model={model} say={(text) => (said.value = text)} />}
      </List>
    </>
  )
}

const emptyWords = ({ state, ...rest }: AlertQuery): string =>
  Object.keys(rest).length > 0
    ? 'No alert fits this.'
    : state === 'open'
      ? 'Nothing is wrong that we know of: no alert is open.'
      : 'There is no alert.'
