import { may } from '../../may.ts'
import { mayRun, mayRunAny } from '../../may-run.ts'
import { Actions } from '../../ui/actions.tsx'
import { shortId } from '../../ui/figures.ts'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { ownZone, Time } from '../../ui/time.tsx'
import type { Alert, AlertsModel } from './model.ts'
import styles from './table.module.css'
import { alertWords, kindWords } from './words.ts'

type AlertsProps = { model: InstanceType<typeof AlertsModel>; say: (text: string) => void }

export function AlertsTable({ alerts, model, say }: AlertsProps & { alerts: readonly Alert[] }) {
  const writes = mayRunAny()
  return (
    <Table caption={`The alerts, the newest first; times in ${ownZone}`}>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">Kind</th>
          <th scope="col">Of</th>
          <th scope="col">State</th>
          <th scope="col">When</th>
          {writes && <th scope="col">Change</th>}
        </tr>
      </thead>
      <tbody>
        {alerts.map((one) => (
          <tr key={one.id}>
            <th scope="row" class={styles.what}>
              {alertWords(one)}
            </th>
            <td data-label="Kind">{kindWords[one.kind]}</td>
            <td data-label="Of" class={styles.of}>
              <Of alert={one} />
            </td>
            <td data-label="State" data-double>
              <StatusPill state={one.state} />
              {one.resolvedAt !== undefined && (
                <span class={styles.by}>
                  <Time at={one.resolvedAt} /> {byWords(one, model.names.value)}
                </span>
              )}
            </td>
            <td data-label="When">
              <Time at={one.at} />
            </td>
            {writes && (
              <td data-wide>
                {one.state === 'open' && mayResolve(one) && <Resolve alert={one} model={model} say={say} />}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

const mayResolve = ({ pipelineId }: Alert): boolean =>
  pipelineId === undefined ? may('runs:write') : mayRun(pipelineId)

/** The run, or what has none: the schedule, the pipeline, the organisation. */
function Of({ alert: { runId, scheduleId, pipelineId, dueAt } }: { alert: Alert }) {
  if (runId !== undefined) return <a href={`/runs/${runId}`}>run {shortId(runId)}</a>
  if (scheduleId !== undefined && pipelineId !== undefined) {
    return (
      <>
        <a href={`/pipelines/${pipelineId}`}>its schedule</a>
        {dueAt !== undefined && (
          <>
            , due <Time at={dueAt} />
          </>
        )}
      </>
    )
  }
  if (pipelineId !== undefined) return <a href={`/pipelines/${pipelineId}`}>the pipeline</a>
  return <a href="/usage">the organisation</a>
}

/** What resolves itself names nobody. */
function byWords({ resolvedBy }: Alert, names: ReadonlyMap<string, string> | undefined): string {
  return resolvedBy === undefined ? 'by itself' : `by ${names?.get(resolvedBy) ?? shortId(resolvedBy)}`
}

function Resolve({
  alert: { id, pipelineName = 'the organisation' },
  model,
  say,
}: AlertsProps & { alert: Alert }) {
  const { submit, busy, problem } = useSubmit(
    () => model.resolve(id),
    () => say(`The alert about ${pipelineName} is resolved.`),
  )
  return (
    <>
      <Actions>
        <form onSubmit={submit}>
          <button type="submit" aria-label={`Resolve the alert about ${pipelineName}`} disabled={busy.value}>
            Resolve
          </button>
        </form>
      </Actions>
      <FormAlert problem={problem} shown={[]} />
    </>
  )
}
