import { useModel } from '@preact/signals'
import { useRoute } from 'preact-iso'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { Alert } from '../../ui/alert.tsx'
import { count, shortId } from '../../ui/figures.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { Page } from '../../ui/page.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { NotFoundPage } from '../not-found/page.tsx'
import { Facts } from './facts.tsx'
import { RunModel } from './model.ts'
import styles from './page.module.css'
import { QualityTable } from './quality.tsx'
import { isStepOver, type Run } from './run.ts'
import { Steps } from './steps.tsx'

export function RunPage() {
  const id = useRoute().params['id']
  return isId('run', id) ? <OneRun key={id} id={id} /> : <NotFoundPage />
}

const openStream = (url: string) => new EventSource(url)

function OneRun({ id }: { id: Run['id'] }) {
  const model = useModel(() => new RunModel(api, { visible, openStream }, id))
  const name = model.run.value.state === 'ready' ? model.run.value.value.pipelineName : ''
  return (
    <Page title={`Run ${shortId(id)} ${name === '' ? '' : `of ${name}`}`.trimEnd()}>
      <Loaded of={model.run} retry={() => void model.look()}>
        {(run) => (
          <>
            <div class={styles.state}>
              <output>
                <StatusPill state={run.state} /> {stepsDone(run)}
              </output>
              {model.canCancel.value && (
                <button type="button" onClick={() => void model.cancel()}>
                  Cancel this run
                </button>
              )}
            </div>
            {model.problem.value && <Alert problem={model.problem.value} />}
            <Failures run={run} />
            <Facts run={run} nowMs={model.nowMs} />
            <h2>Steps</h2>
            <Steps run={run} speeds={model.speeds} nowMs={model.nowMs} />
            {run.steps.some((step) => step.kind === 'check') && (
              <>
                <h2>Quality</h2>
                {model.quality.value.length === 0 ? (
                  <p>No rule has been checked yet.</p>
                ) : (
                  <QualityTable results={model.quality.value} />
                )}
              </>
            )}
          </>
        )}
      </Loaded>
    </Page>
  )
}

function stepsDone({ steps }: Run): string {
  const done = steps.filter(isStepOver).length
  return `${count(done)} of ${count(steps.length)} ${steps.length === 1 ? 'step' : 'steps'} done`
}

function Failures({ run }: { run: Run }) {
  const failed = run.steps.filter((step) => step.state === 'failed' && step.error)
  if (failed.length === 0) return null
  return (
    <div role="alert" class={styles.failures}>
      {failed.map(({ key, error }) => (
        <p key={key}>
          <strong>{key}</strong>: {error?.message} <code>{error?.code}</code>
        </p>
      ))}
    </div>
  )
}
