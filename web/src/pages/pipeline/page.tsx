import { useModel, useSignal } from '@preact/signals'
import { useRoute } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { may } from '../../may.ts'
import { mayRun } from '../../may-run.ts'
import { List } from '../../ui/list.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Page } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { NotFoundPage } from '../not-found/page.tsx'
import { RunsTable } from '../runs/table.tsx'
import { PipelineModel, type Pipeline } from './model.ts'
import styles from './page.module.css'
import { Pause, Paused } from './pause.tsx'
import { RunNow } from './run-now.tsx'
import { Triggers } from './triggers.tsx'
import { Versions } from './versions.tsx'

export function PipelinePage() {
  const id = useRoute().params['id']
  return isId('pip', id) ? <OnePipeline key={id} id={id} /> : <NotFoundPage />
}

function OnePipeline({ id }: { id: Pipeline['id'] }) {
  const model = useModel(() => new PipelineModel(api, { visible, may }, id))
  const { pipeline, runs, versions } = model
  const said = useSignal('')
  const say = (text: string) => {
    said.value = text
  }
  useEffect(() => void model.load(), [model])
  const title = pipeline.value.state === 'ready' ? pipeline.value.value.name : 'Pipeline'
  return (
    <Page title={title}>
      <Loaded of={pipeline} retry={() => void model.load()}>
        {(found) => (
          <>
            {found.description && <p>{found.description}</p>}
            <Notice text={said} />
            <Paused pipeline={found} model={model} say={say} />
            {mayRun(id) && (
              <div class={styles.hands}>
                <RunNow parameters={found.definition.parameters} start={model.start} />
                <Pause pipeline={found} model={model} say={say} />
              </div>
            )}
            <Ways id={id} />

            <h2>Runs</h2>
            <List model={runs} empty="It has not run yet.">
              {(items) => (
                <RunsTable runs={items} caption="The runs of this pipeline, the newest first" ofOnePipeline />
              )}
            </List>

            <h2>What starts it</h2>
            <Triggers
              triggers={found.definition.triggers}
              schedules={model.schedules.value}
              isPaused={found.paused !== undefined}
            />

            <h2>Definition</h2>
            <p class={styles.version}>
              Version {found.version}, changed <Time at={found.updatedAt} zone />
            </p>
            {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse */}
            <pre tabIndex={0} aria-label="Definition">
              {found.source}
            </pre>

            <h2>Versions</h2>
            <Versions versions={versions} />
          </>
        )}
      </Loaded>
    </Page>
  )
}

/** Where else there is something about the pipeline. */
function Ways({ id }: { id: Pipeline['id'] }) {
  const of = `?pipelineId=${id}`
  return (
    <nav class={styles.ways} aria-label="More about this pipeline">
      <a href={`/runs${of}`}>Its runs</a>
      <a href={`/backfills${of}`}>Its backfills</a>
      {mayRun(id) && <a href={`/backfills/new${of}`}>Start a backfill</a>}
      <a href={`/dead-letters${of}`}>Its dead letters</a>
      <a href={`/alerts${of}`}>Its alerts</a>
    </nav>
  )
}
