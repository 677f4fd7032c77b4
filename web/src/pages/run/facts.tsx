import type { ReadonlySignal } from '@preact/signals'
import { Fact, Facts as All } from '../../ui/facts.tsx'
import { count, duration } from '../../ui/figures.ts'
import { Time } from '../../ui/time.tsx'
import styles from './facts.module.css'
import { isOver, type Run } from './run.ts'

/** What there is to know about a run as a whole. */
export function Facts({ run, nowMs }: { run: Run; nowMs: ReadonlySignal<number> }) {
  const rejected = run.steps.reduce((sum, step) => sum + step.rowsRejected, 0)
  const parameters = Object.entries(run.parameters)
  return (
    <All>
      <Fact name="Pipeline">
        <a href={`/pipelines/${run.pipelineId}`}>{run.pipelineName}</a>, version {run.version}
      </Fact>
      <Fact name={run.trigger === 'manual' ? 'Started by hand' : 'Started by its schedule'}>
        <Time at={run.createdAt} />
      </Fact>
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
