import { useModel, useSignal } from '@preact/signals'
import { api, visible } from '../../browser.ts'
import type { Answered } from '../../load.ts'
import { GroupNav } from '../../ui/group-nav.tsx'
import { List } from '../../ui/list.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { Table } from '../../ui/table.tsx'
import { ownZone, Time } from '../../ui/time.tsx'
import { stepName } from './decide.ts'
import { Decision } from './decision.tsx'
import { ApprovalsModel, type Approval } from './model.ts'
import styles from './page.module.css'

/** What waits for somebody to say yes or no. */
export function ApprovalsPage() {
  const model = useModel(() => new ApprovalsModel(api, visible))
  const said = useSignal('')
  return (
    <Page title="Approvals">
      <GroupNav of="attention" />
      <Notice text={said} />
      <List model={model.approvals} empty={<Empty />}>
        {(items) => (
          <Table caption={`What waits, that of the oldest run first; times in ${ownZone}`}>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">Run</th>
                <th scope="col">Since</th>
                <th scope="col">Fails at</th>
                <th scope="col">Decide</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <Row
                  key={one.id}
                  one={one}
                  decide={(isApproved, comment) => model.decide(one, isApproved, comment)}
                  say={(text) => (said.value = text)}
                />
              ))}
            </tbody>
          </Table>
        )}
      </List>
    </Page>
  )
}

function Empty() {
  return (
    <>
      Nothing waits for approval. A run waits here when it comes to a step such as{' '}
      <code>wait: {'{ approval: { message: "Publish it?", roles: [owner] } }'}</code>.
    </>
  )
}

type RowProps = {
  one: Approval
  decide: (isApproved: boolean, comment: string) => Promise<Answered<unknown>>
  say: (text: string) => void
}

function Row({ one, decide, say }: RowProps) {
  const of = `${stepName(one)} of ${one.pipelineName}`
  return (
    <tr>
      <th scope="row" class={styles.what}>
        {one.message ?? stepName(one)}
        {one.message !== undefined && <span class={styles.step}>step {stepName(one)}</span>}
      </th>
      <td data-label="Run" data-double>
        <a href={`/runs/${one.runId}`} title={one.runId}>
          {one.pipelineName}
        </a>
      </td>
      <td data-label="Since">{one.since === undefined ? '–' : <Time at={one.since} />}</td>
      <td data-label="Fails at">{one.until === undefined ? 'never' : <Time at={one.until} />}</td>
      <td data-wide>
        <Decision
          of={of}
          pipelineId={one.pipelineId}
          message={one.message}
          roles={one.roles}
          decide={decide}
          say={say}
        />
      </td>
    </tr>
  )
}
