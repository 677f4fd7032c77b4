import type { ReadonlySignal } from '@preact/signals'
import { count, duration, rate } from '../../ui/figures.ts'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { isOver, type Run, type Step } from './run.ts'
import { meanSpeed } from './speed.ts'
import styles from './steps.module.css'

type Live = { speeds: ReadonlySignal<ReadonlyMap<string, number>>; nowMs: ReadonlySignal<number> }

export function Steps({ run, speeds, nowMs }: { run: Run } & Live) {
  const fromMs = Date.parse(run.startedAt ?? run.createdAt)
  const toMs = isOver(run) && run.finishedAt !== undefined ? Date.parse(run.finishedAt) : nowMs.value
  const retried = run.steps.some((step) => step.attempt > 1)
  return (
    <Table caption="The steps in the order of the definition, and when each was at work">
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">State</th>
          <th scope="col" data-number>
            Rows in
          </th>
          <th scope="col" data-number>
            Rows out
          </th>
          <th scope="col" data-number>
            Rejected
          </th>
          <th scope="col" data-number>
            Rows/s
          </th>
          {retried && (
            <th scope="col" data-number>
              Attempts
            </th>
          )}
          <th scope="col" data-number>
            Took
          </th>
          <th scope="col" class={styles.when}>
            Timeline
          </th>
        </tr>
      </thead>
      <tbody>
        {run.steps.map((step) => (
          <tr key={step.key}>
            <th scope="row">
              <a class={styles.key} href={`/runs/${run.id}?step=${encodeURIComponent(step.key)}`}>
                {step.key}
              </a>{' '}
              <span class={styles.kind}>{step.kind}</span>
            </th>
            <td data-label="State">
              <StatusPill state={step.state} />
            </td>
            <td data-number data-label="Rows in">
              {figure(step, count(step.rowsIn))}
            </td>
            <td data-number data-label="Rows out">
              {figure(step, count(step.rowsOut))}
            </td>
            <td data-number data-label="Rejected" class={step.rowsRejected > 0 ? styles.rejected : undefined}>
              {figure(step, count(step.rowsRejected))}
            </td>
            <td data-number data-label="Rows/s">
              <Speed step={step} speeds={speeds} />
            </td>
            {retried && (
              <td data-number data-label="Attempts">
                {step.attempt}
              </td>
            )}
            <td data-number data-label="Took">
              <Took step={step} nowMs={nowMs} />
            </td>
            <td class={styles.when} data-wide>
              <Bar step={step} fromMs={fromMs} toMs={toMs} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

/** Nothing is counted of what never began. */
const figure = (step: Step, text: string): string => (step.startedAt === undefined ? '–' : text)

function Speed({ step, speeds }: { step: Step; speeds: Live['speeds'] }) {
  const speed = step.state === 'running' ? speeds.value.get(step.key) : meanSpeed(step)
  return <>{speed === undefined ? '–' : rate(speed)}</>
}

function Took({ step: { startedAt, durationMs, state }, nowMs }: { step: Step; nowMs: Live['nowMs'] }) {
  if (durationMs !== undefined) return <>{duration(durationMs)}</>
  if (startedAt === undefined || state !== 'running') return <>–</>
  return <>{duration(nowMs.value - Date.parse(startedAt))}</>
}

/** The columns beside it say the same in numbers. */
function Bar({ step, fromMs, toMs }: { step: Step; fromMs: number; toMs: number }) {
  if (step.startedAt === undefined) return null
  const place = (ms: number) => Math.min(100, Math.max(0, ((ms - fromMs) / Math.max(1, toMs - fromMs)) * 100))
  const left = place(Date.parse(step.startedAt))
  const right = place(step.finishedAt === undefined ? toMs : Date.parse(step.finishedAt))
  return (
    <svg class={styles.bar} viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
      <rect class={styles.track} width="100" height="1" />
      <rect
        class={styles[step.state] ?? styles.other}
        x={Math.min(left, 99)}
        width={Math.max(right - left, 1)}
        height="1"
      />
    </svg>
  )
}
