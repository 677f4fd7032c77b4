import { useModel, type ReadonlySignal } from '@preact/signals'
import { api, session } from '../../browser.ts'
import { shortId } from '../../ui/figures.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Time } from '../../ui/time.tsx'
import { happenedWords, moreWords } from './event-words.ts'
import { EventsModel, type Happened } from './log-model.ts'
import styles from './log.module.css'
import type { Run } from './run.ts'

/** Everything that happened to the run, and by whom, as it happens. */
export function Events({ id, told }: { id: Run['id']; told: ReadonlySignal<number> }) {
  const model = useModel(() => new EventsModel(api, id, told))
  return (
    <Loaded of={model.tail} retry={() => void model.more()}>
      {({ items, hasMore }) => (
        <>
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse */}
          <ol class={styles.lines} tabIndex={0} aria-label="What happened, the oldest first">
            {items.map((event) => (
              <li key={event.seq}>
                <Time at={event.at} /> {happenedWords(event.type, { ...event, item: event.mapIndex })}
                <span class={styles.step}>{whoDid(event)}</span>
                <span class={styles.message}>{moreWords(event)}</span>
              </li>
            ))}
          </ol>
          <More model={model} has={hasMore} />
        </>
      )}
    </Loaded>
  )
}

/** What the engine does by itself it does for whoever started the run: only people are named. */
function whoDid({ actor }: Happened): string {
  if (!/^(usr|key)_/.test(actor)) return ''
  const state = session.state.value
  return state.state === 'ready' && state.value.user?.id === actor ? ' by you' : ` by ${shortId(actor)}`
}
