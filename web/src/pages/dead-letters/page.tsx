import { useModel, useSignal } from '@preact/signals'
import { api, visible } from '../../browser.ts'
import { mayRunAny } from '../../may-run.ts'
import { Choice, Filters, Typed } from '../../ui/filters.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { List } from '../../ui/list.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { PipelineChoice, usePipelineNames } from '../../ui/pipeline-choice.tsx'
import { useFilter } from '../../ui/use-filter.ts'
import { Bulk } from './bulk.tsx'
import { anyState, filterNames, states, type Filter } from './filter.ts'
import { LettersModel } from './model.ts'
import { LettersTable } from './table.tsx'

const stateOptions = [...states, anyState].map((state) => [state, state] as const)

/** Steps that failed for good, and what can be done about them. */
export function DeadLettersPage() {
  const { filter, choose } = useFilter(filterNames)
  const names = usePipelineNames()
  return (
    <Page title="Dead letters">
      <GroupNav of="attention" />
      <Filters>
        <Choice
          label="State"
          value={filter.state ?? 'open'}
          options={stateOptions}
          choose={(value) => choose('state', value === 'open' ? '' : value)}
        />
        <PipelineChoice
          names={names.value}
          value={filter.pipelineId}
          choose={(value) => choose('pipelineId', value)}
        />
        <Typed
          label="Error"
          type="search"
          value={filter.code}
          placeholder="such as timeout"
          choose={(value) => choose('code', value)}
        />
        <Typed label="Since" type="date" value={filter.since} choose={(value) => choose('since', value)} />
      </Filters>
      <Letters key={JSON.stringify(filter)} filter={filter} />
    </Page>
  )
}

function Letters({ filter }: { filter: Filter }) {
  const model = useModel(() => new LettersModel(api, visible, filter))
  const said = useSignal('')
  const { letters } = model
  const isOpen = (filter.state ?? 'open') === 'open'
  return (
    <>
      <Notice text={said} />
      <List model={letters} empty={emptyWords(filter)}>
        {(items) => (
          <>
            {isOpen && <Bulk model={model} filter={filter} say={(text) => (said.value = text)} />}
            <LettersTable letters={items} model={model} choosable={isOpen && mayRunAny()} />
          </>
        )}
      </List>
    </>
  )
}

const emptyWords = (filter: Filter): string =>
  Object.keys(filter).length > 0
    ? 'No dead letter fits this.'
    : 'There is no open dead letter. A step that fails for good, after all its attempts, leaves one here.'
