import { useModel, useSignal, type ReadonlySignal } from '@preact/signals'
import { api } from '../../browser.ts'
import { Choice, Filters, Typed } from '../../ui/filters.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { ownZone, Time } from '../../ui/time.tsx'
import { stepName } from '../approvals/decide.ts'
import { isLevel, LogModel, logLevels, type Line, type LogFilter } from './log-model.ts'
import styles from './log.module.css'
import type { Run } from './run.ts'

type LogProps = { run: Run; step: string | undefined; told: ReadonlySignal<number> }

const levels = logLevels.map((level) => [level, level === 'error' ? level : `${level} and graver`] as const)

/** What the steps said, of all of them or of the one that is chosen. */
export function Log({ run, step, told }: LogProps) {
  const narrowed = useSignal<Pick<LogFilter, 'level' | 'search'>>({})
  const { level, search } = narrowed.value
  const filter: LogFilter = { ...narrowed.value, ...(step === undefined ? {} : { step }) }
  return (
    <>
      <Filters>
        <Choice
          label="Level"
          value={level}
          none="any"
          options={levels}
          choose={(value) => {
            narrowed.value = { ...(search && { search }), ...(isLevel(value) && { level: value }) }
          }}
        />
        <Typed
          label="Search"
          type="search"
          value={search}
          placeholder="words in a line"
          choose={(value) => {
            narrowed.value = { ...(level && { level }), ...(value && { search: value }) }
          }}
        />
        <span class={styles.step}>times in {ownZone}</span>
      </Filters>
      <Lines key={JSON.stringify(filter)} id={run.id} filter={filter} told={told} />
    </>
  )
}

function Lines({ id, filter, told }: { id: Run['id']; filter: LogFilter; told: ReadonlySignal<number> }) {
  const model = useModel(() => new LogModel(api, id, filter, told))
  return (
    <Loaded of={model.tail} retry={() => void model.more()}>
      {({ items, hasMore }) => (
        <>
          {items.length === 0 ? (
            <p>{emptyWords(filter)}</p>
          ) : (
            // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse
            <ol class={styles.lines} tabIndex={0} aria-label="Lines of the log, the oldest first">
              {items.map((line) => (
                <OneLine key={line.seq} line={line} />
              ))}
            </ol>
          )}
          <More model={model} has={hasMore} />
        </>
      )}
    </Loaded>
  )
}

const OneLine = ({ line: { at, level, step, mapIndex, outer, message } }: { line: Line }) => (
  <li class={styles[level]}>
    <Time at={at} /> <span class={styles.level}>{level}</span>{' '}
    <span class={styles.step}>{stepName({ step, item: mapIndex, outer })}</span>{' '}
    <span class={styles.message}>{message}</span>
  </li>
)

function emptyWords({ step, level, search }: LogFilter): string {
  if (level !== undefined || search !== undefined) return 'No line fits this.'
  return step === undefined ? 'The steps have said nothing.' : `The step ${step} has said nothing.`
}
