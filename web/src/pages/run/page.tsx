import { useModel, useSignal } from '@preact/signals'
import { useLocation, useRoute } from 'preact-iso'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { count, shortId } from '../../ui/figures.ts'
import { later } from '../../ui/later.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { Section } from '../../ui/section.tsx'
import { Standing } from '../../ui/standing.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { NotFoundPage } from '../not-found/page.tsx'
import { Approvals } from './approvals.tsx'
import { Facts } from './facts.tsx'
import { Hands } from './hands.tsx'
import { RunModel } from './model.ts'
import styles from './page.module.css'
import { QualityTable } from './quality.tsx'
import { isStepOver, type Run } from './run.ts'
import { Steps } from './steps.tsx'

const OneStep = later(() => import('./step.tsx').then((step) => step.OneStep))
const Log = later(() => import('./log.tsx').then((log) => log.Log))
const Events = later(() => import('./events.tsx').then((events) => events.Events))

export function RunPage() {
  const id = useRoute().params['id']
  return isId('run', id) ? <OneRun key={id} id={id} /> : <NotFoundPage />
}

const openStream = (url: string) => new EventSource(url)

function OneRun({ id }: { id: Run['id'] }) {
  const model = useModel(() => new RunModel(api, { visible, openStream }, id))
  const { query } = useLocation()
  const said = useSignal('')
  const showsEvents = useSignal(false)
  const name = model.run.value.state === 'ready' ? model.run.value.value.pipelineName : ''
  return (
    <Page title={`Run ${shortId(id)} ${name === '' ? '' : `of ${name}`}`.trimEnd()}>
      <Loaded of={model.run} retry={() => void model.look()}>
        {(run) => {
          const hands = { run, model, say: (text: string) => (said.value = text) }
          const step = run.steps.find(({ key }) => key === query['step'])
          return (
            <>
              <Standing
                state={
                  <>
                    <StatusPill state={run.state} /> {stepsDone(run)}
                  </>
                }
              >
                <Hands {...hands} />
              </Standing>
              <Notice text={said} />
              <Approvals {...hands} />
              <Failures run={run} />
              <Facts run={run} nowMs={model.nowMs} />
              <h2>Steps</h2>
              <Steps run={run} speeds={model.speeds} nowMs={model.nowMs} />
              {step && <OneStep key={step.key} {...hands} step={step} />}
              {run.steps.some(({ kind }) => kind === 'check') && (
                <Section title="Quality">
                  {model.quality.value.length === 0 ? (
                    <p>No rule has been checked yet.</p>
                  ) : (
                    <QualityTable results={model.quality.value} />
                  )}
                </Section>
              )}
              <Section title={step ? `Log of ${step.key}` : 'Log'}>
                <Log run={run} step={step?.key} told={model.told} />
              </Section>
              <details
                class={styles.events}
                onToggle={({ currentTarget }) => (showsEvents.value = currentTarget.open)}
              >
                <summary>Everything that happened</summary>
                {showsEvents.value && <Events id={id} told={model.told} />}
              </details>
            </>
          )
        }}
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
