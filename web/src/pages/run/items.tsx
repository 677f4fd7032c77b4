import { useModel, useSignal } from '@preact/signals'
import type { StepState } from '#src/domain/run-state.ts'
import { api, visible } from '../../browser.ts'
import { thenLook } from '../../then-look.ts'
import { duration } from '../../ui/figures.ts'
import { Choice, Filters } from '../../ui/filters.tsx'
import { List } from '../../ui/list.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { stepName } from '../approvals/decide.ts'
import { Decision } from '../approvals/decision.tsx'
import type { HandsProps } from './hands.tsx'
import { ItemsModel, type Item } from './items-model.ts'
import styles from './step.module.css'
import type { Step } from './run.ts'

type ItemsProps = HandsProps & { step: Step }

/** By what somebody looks for first; a record, so that none is forgotten. Items that have not begun are not listed. */
const states = Object.keys({
  failed: true,
  waiting: true,
  running: true,
  ready: true,
  succeeded: true,
  skipped: true,
  cancelled: true,
} satisfies Record<Exclude<StepState, 'pending'>, true>) as StepState[]
const options = states.map((state) => [state, state] as const)

/** What became of each item of a map. */
export function Items(props: ItemsProps) {
  const state = useSignal<StepState | undefined>(undefined)
  return (
    <>
      <Filters>
        <Choice
          label="Items that are"
          value={state.value}
          none="any"
          options={options}
          choose={(value) => {
            state.value = states.find((one) => one === value)
          }}
        />
      </Filters>
      <ItemList key={state.value} {...props} state={state.value} />
    </>
  )
}

function ItemList({ run, step, model, say, state }: ItemsProps & { state: StepState | undefined }) {
  const { isLive } = model
  const { items } = useModel(
    () => new ItemsModel(api, { visible, isLive }, { id: run.id, step: step.key, state }),
  )
  return (
    <List model={items} empty={state === undefined ? 'No item has begun yet.' : `No item is ${state}.`}>
      {(found) => (
        <Table caption={`The items of ${step.key} that have begun`}>
          <thead>
            <tr>
              <th scope="col">Item</th>
              <th scope="col">State</th>
              <th scope="col" data-number>
                Attempts
              </th>
              <th scope="col" data-number>
                Took
              </th>
              <th scope="col">What of it</th>
            </tr>
          </thead>
          <tbody>
            {found.map((one) => (
              <tr key={one.id}>
                <th scope="row">
                  {one.item}
                  {one.outer === undefined ? '' : ` of ${one.outer}`}
                </th>
                <td data-label="State">
                  <StatusPill state={one.state} />
                </td>
                <td data-number data-label="Attempts">
                  {one.attempt}
                </td>
                <td data-number data-label="Took">
                  {one.durationMs === undefined ? '–' : duration(one.durationMs)}
                </td>
                <td data-wide class={styles.text}>
                  <Matter
                    one={one}
                    pipelineId={run.pipelineId}
                    name={stepName({ step: step.key, item: one.item, outer: one.outer })}
                    decide={(isApproved, comment) =>
                      thenLook(model.decide(step.key, one, isApproved, comment), items.look)
                    }
                    say={say}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </List>
  )
}

type MatterProps = {
  one: Item
  pipelineId: string
  name: string
  decide: Parameters<typeof Decision>[0]['decide']
  say: (text: string) => void
}

function Matter({ one: { error, waitsFor, items }, pipelineId, name, decide, say }: MatterProps) {
  if (error) {
    return (
      <>
        {error.message} <code>{error.code}</code>
      </>
    )
  }
  if (waitsFor?.approval) {
    const { message, roles } = waitsFor.approval
    return (
      <>
        {message !== undefined && <p class={styles.message}>{message}</p>}
        <Decision
          of={name}
          pipelineId={pipelineId}
          message={message}
          roles={roles}
          decide={decide}
          say={say}
        />
      </>
    )
  }
  if (waitsFor?.callback) return <>waits for an answer at {waitsFor.callback.url}</>
  return <>{items ? `${items.open} of its ${items.total} items are open` : '–'}</>
}
