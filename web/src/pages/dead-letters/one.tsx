import { useModel, useSignal } from '@preact/signals'
import { useRoute } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { isId } from '../../id.ts'
import { mayRun } from '../../may-run.ts'
import { Confirm } from '../../ui/confirm.tsx'
import { Fact, Facts } from '../../ui/facts.tsx'
import { count, shortId } from '../../ui/figures.ts'
import { GroupNav } from '../../ui/group-nav.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { Reason, reasonIn } from '../../ui/reason.tsx'
import { Standing } from '../../ui/standing.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Time } from '../../ui/time.tsx'
import { stepName } from '../approvals/decide.ts'
import { NotFoundPage } from '../not-found/page.tsx'
import { happenedWords, moreWords, type Told } from '../run/event-words.ts'
import { LetterModel, type Letter, type WholeLetter } from './model.ts'
import styles from './one.module.css'

export function DeadLetterPage() {
  const id = useRoute().params['id']
  return isId('dl', id) ? <OneLetter key={id} id={id} /> : <NotFoundPage />
}

function OneLetter({ id }: { id: Letter['id'] }) {
  const model = useModel(() => new LetterModel(api, id))
  const said = useSignal('')
  useEffect(() => void model.look(), [model])
  return (
    <Page title={`Dead letter ${shortId(id)}`}>
      <GroupNav of="attention" />
      <Loaded of={model.letter} retry={() => void model.look()}>
        {(letter) => (
          <>
            <Standing state={<StatusPill state={letter.state} />}>
              {letter.state === 'open' && mayRun(letter.pipelineId) && (
                <Hands letter={letter} model={model} say={(text) => (said.value = text)} />
              )}
            </Standing>
            <Notice text={said} />
            <p class={`${styles.error} ${styles.failure}`}>
              {letter.error.message} <code>{letter.error.code}</code>
            </p>
            <About letter={letter} />
            <Inputs letter={letter} />
            <FailedItems letter={letter} />
            <h2>What happened to the step</h2>
            <ol class={styles.events}>
              {letter.events.map((event) => (
                <li key={event.seq}>
                  <Time at={event.at} zone />{' '}
                  {happenedWords(event.type, { step: letter.stepKey, item: event.mapIndex })}
                  {moreWords((event.data ?? {}) as Told)}
                </li>
              ))}
            </ol>
          </>
        )}
      </Loaded>
    </Page>
  )
}

type LetterProps = { letter: WholeLetter }

function About({ letter }: LetterProps) {
  return (
    <Facts>
      <Fact name="Step">
        <a href={`/runs/${letter.runId}?step=${encodeURIComponent(letter.stepKey)}`}>{letter.stepKey}</a>
      </Fact>
      <Fact name="Pipeline">
        <a href={`/pipelines/${letter.pipelineId}`}>{letter.pipelineName}</a>
      </Fact>
      <Fact name="Run">
        <a href={`/runs/${letter.runId}`}>{shortId(letter.runId)}</a>
      </Fact>
      <Fact name="Attempts">{letter.attempts}</Fact>
      <Fact name="Failed">
        <Time at={letter.createdAt} zone />
      </Fact>
      {letter.replayRunId !== undefined && (
        <Fact name="Done again by">
          <a href={`/runs/${letter.replayRunId}`}>run {shortId(letter.replayRunId)}</a>
        </Fact>
      )}
      {letter.resolvedAt !== undefined && (
        <Fact name={letter.state === 'dismissed' ? 'Dismissed' : 'Replayed'}>
          <Time at={letter.resolvedAt} zone />
        </Fact>
      )}
      {letter.reason !== undefined && <Fact name="Because">{letter.reason}</Fact>}
    </Facts>
  )
}

function Inputs({ letter: { inputs } }: LetterProps) {
  if (inputs.length === 0) return null
  return (
    <>
      <h2>What a replay reads</h2>
      <ul>
        {inputs.map(({ dataset, versionId, rows }) => (
          <li key={dataset}>
            <strong>{dataset}</strong>, {count(rows)} rows <code>{shortId(versionId)}</code>
          </li>
        ))}
      </ul>
    </>
  )
}

function FailedItems({ letter: { items, stepKey } }: LetterProps) {
  if (items.length === 0) return null
  return (
    <>
      <h2>Items that failed</h2>
      <ul class={styles.error}>
        {items.map(({ mapIndex, error }) => (
          <li key={mapIndex}>
            {stepName({ step: stepKey, item: mapIndex })}: {error?.message ?? 'no more is known'}{' '}
            {error && <code>{error.code}</code>}
          </li>
        ))}
      </ul>
    </>
  )
}

type HandsProps = LetterProps & {
  model: InstanceType<typeof LetterModel>
  say: (text: string) => void
}

function Hands({ letter, model, say }: HandsProps) {
  return (
    <>
      <Confirm
        word="Replay"
        title={`Replay ${letter.stepKey}?`}
        action="Replay"
        act={(form) => model.replay(reasonIn(form))}
        done={({ id }) => say(`The run is started again as ${shortId(id)}.`)}
      >
        <p>
          Its run is done again from what failed, as another run. Other dead letters of the same run are
          replayed with it.
        </p>
        <Reason />
      </Confirm>
      <Confirm
        word="Dismiss"
        title={`Dismiss ${letter.stepKey}?`}
        action="Dismiss"
        act={(form) => model.dismiss(reasonIn(form))}
        done={() => say('It is dismissed.')}
      >
        <p>It is let be: nothing is done again. This cannot be taken back.</p>
        <Reason />
      </Confirm>
    </>
  )
}
