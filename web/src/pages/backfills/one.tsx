import { useModel, useSignal } from '@preact/signals'
import { useRoute } from 'preact-iso'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { mayRun } from '../../may-run.ts'
import { Confirm } from '../../ui/confirm.tsx'
import { Fact, Facts } from '../../ui/facts.tsx'
import { count, shortId } from '../../ui/figures.ts'
import { FormAlert, useSubmit } from '../../ui/form.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { usePipelineNames } from '../../ui/pipeline-choice.tsx'
import { Standing } from '../../ui/standing.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Time } from '../../ui/time.tsx'
import { NotFoundPage } from '../not-found/page.tsx'
import { isOver, rangeWords, timesWords, type Backfill } from './backfill.ts'
import { BackfillModel } from './model.ts'
import styles from './one.module.css'
import { Progress } from './progress.tsx'

export function BackfillPage() {
  const id = useRoute().params['id']
  return isId('bkf', id) ? <OneBackfill key={id} id={id} /> : <NotFoundPage />
}

function OneBackfill({ id }: { id: Backfill['id'] }) {
  const model = useModel(() => new BackfillModel(api, visible, id))
  const names = usePipelineNames()
  const said = useSignal('')
  return (
    <Page title={`Backfill ${shortId(id)}`}>
      <GroupNav of="runs" />
      <Loaded of={model.backfill} retry={() => void model.look()}>
        {(backfill) => (
          <>
            <Standing state={<StatusPill state={backfill.state} />}>
              {mayRun(backfill.pipelineId) && (
                <Moves backfill={backfill} model={model} say={(text) => (said.value = text)} />
              )}
            </Standing>
            <Notice text={said} />
            <div class={styles.progress}>
              <Progress of={backfill} />
            </div>
            <Counts of={backfill} />
            <h2>What was asked for</h2>
            <Facts>
              <Fact name="Pipeline">
                <a href={`/pipelines/${backfill.pipelineId}`}>
                  {names.value.get(backfill.pipelineId) ?? shortId(backfill.pipelineId)}
                </a>
                , version {backfill.version}
              </Fact>
              <Fact name="Range">{rangeWords(backfill)}</Fact>
              <Fact name="One run for">{timesWords(backfill)}</Fact>
              <Fact name="Order">the {backfill.order} first</Fact>
              <Fact name="At once">{count(backfill.concurrency)}</Fact>
              <Fact name="What has succeeded before">
                {backfill.skipSucceeded ? 'is skipped' : 'is done again'}
              </Fact>
              {Object.entries(backfill.parameters).map(([name, value]) => (
                <Fact key={name} name={name}>
                  <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
                </Fact>
              ))}
              <Fact name="Started">
                <Time at={backfill.createdAt} zone />
              </Fact>
              {backfill.finishedAt !== undefined && (
                <Fact name="Ended">
                  <Time at={backfill.finishedAt} zone />
                </Fact>
              )}
            </Facts>
            <p class={styles.runs}>
              <a href={`/runs?backfillId=${backfill.id}`}>The runs of this backfill</a>
            </p>
          </>
        )}
      </Loaded>
    </Page>
  )
}

const kinds = ['succeeded', 'failed', 'cancelled', 'skipped', 'running', 'waiting'] as const
const countWords: Record<(typeof kinds)[number], string> = {
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  skipped: 'Skipped',
  running: 'Under way',
  waiting: 'Not begun',
}

function Counts({ of: { runs } }: { of: Backfill }) {
  return (
    <Facts>
      {kinds.map((kind) => (
        <Fact key={kind} name={countWords[kind]}>
          {count(runs[kind])}
        </Fact>
      ))}
    </Facts>
  )
}

type MovesProps = {
  backfill: Backfill
  model: InstanceType<typeof BackfillModel>
  say: (text: string) => void
}

function Moves({ backfill, model, say }: MovesProps) {
  const isPaused = backfill.state === 'paused'
  const { submit, busy, problem } = useSubmit(
    () => model.move(isPaused ? 'resume' : 'pause'),
    ({ state }) =>
      say(state === 'paused' ? 'It is paused: no more runs begin. What is at work goes on.' : 'It goes on.'),
  )
  if (isOver(backfill)) return null
  return (
    <>
      <form onSubmit={submit}>
        <button type="submit" data-main={isPaused} disabled={busy.value}>
          {isPaused ? 'Resume' : 'Pause'}
        </button>
      </form>
      <Confirm
        word="Cancel this backfill"
        title="Cancel this backfill?"
        action="Cancel the backfill"
        keep="Let it go on"
        act={() => model.move('cancel')}
        done={() => say('It is cancelled: its runs are asked to stop, and no more begin.')}
      >
        <p>
          Its runs under way are asked to stop, and no more begin. It cannot go on afterwards; another
          backfill of the same range can skip what has succeeded.
        </p>
      </Confirm>
      <FormAlert problem={problem} shown={[]} />
    </>
  )
}
