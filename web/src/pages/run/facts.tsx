import type { ReadonlySignal } from '@preact/signals'
import { Fact, Facts as All } from '../../ui/facts.tsx'
import { count, duration, shortId } from '../../ui/figures.ts'
import { Time } from '../../ui/time.tsx'
import styles from './facts.module.css'
import { isOver, type Run } from './run.ts'

const startedBy: Record<Run['trigger'], string> = {
  manual: 'Started by hand',
  schedule: 'Started by its schedule',
  event: 'Started by an event',
  dataset: 'Started by a dataset',
  upstream: 'Started by another pipeline',
  backfill: 'Started by a backfill',
  parent: 'Started by another run',
  rerun: 'Started again',
}

/** What there is to know about a run as a whole. */
export function Facts({ run, nowMs }: { run: Run; nowMs: ReadonlySignal<number> }) {
  const rejected = run.steps.reduce((sum, step) => sum + step.rowsRejected, 0)
  const parameters = Object.entries(run.parameters)
  return (
    <All>
      <Fact name="Pipeline">
        <a href={`/pipelines/${run.pipelineId}`}>{run.pipelineName}</a>, version {run.version}
      </Fact>
      <Fact name={startedBy[run.trigger]}>
        <Time at={run.createdAt} zone />
      </Fact>
      {run.scheduledFor !== undefined && (
        <Fact name="Scheduled for">
          <Time at={run.scheduledFor} zone />
        </Fact>
      )}
      {run.parentRunId !== undefined && (
        <Fact name="Part of">
          <a href={`/runs/${run.parentRunId}`}>run {shortId(run.parentRunId)}</a>
        </Fact>
      )}
      {run.backfillId !== undefined && (
        <Fact name="Backfill">
          <a href={`/backfills/${run.backfillId}`}>{shortId(run.backfillId)}</a>
        </Fact>
      )}
      {run.rerunOf !== undefined && (
        <Fact name="Does again">
          <a href={`/runs/${run.rerunOf}`}>run {shortId(run.rerunOf)}</a>
        </Fact>
      )}
      <Fact name={isOver(run) ? 'Took' : 'Running for'}>
        <Took run={run} nowMs={nowMs} />
      </Fact>
      <Fact name="Rejected">{count(rejected)} rows</Fact>
      {parameters.length > 0 && (
        <Fact name="Parameters">
          {parameters.map(([name, value]) => (
            <code key={name} class={styles.parameter}>
              {name} = {typeof value === 'string' ? value : JSON.stringify(value)}
            </code>
          ))}
        </Fact>
      )}
      <Fact name="Id">
        <code>{run.id}</code>
      </Fact>
    </All>
  )
}

function Took({ run: { startedAt, durationMs }, nowMs }: { run: Run; nowMs: ReadonlySignal<number> }) {
  if (durationMs !== undefined) return <>{duration(durationMs)}</>
  return <>{startedAt === undefined ? '–' : duration(nowMs.value - Date.parse(startedAt))}</>
}
