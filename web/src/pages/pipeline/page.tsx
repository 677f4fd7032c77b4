import { useModel } from '@preact/signals'
import { useRoute } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api, visible } from '../../browser.ts'
import { isId } from '../../id.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Page } from '../../ui/page.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import { NotFoundPage } from '../not-found/page.tsx'
import { RunsTable } from '../runs/table.tsx'
import { PipelineModel, type Pipeline } from './model.ts'
import styles from './page.module.css'
import { RunNow } from './run-now.tsx'

export function PipelinePage() {
  const id = useRoute().params['id']
  return isId('pip', id) ? <OnePipeline key={id} id={id} /> : <NotFoundPage />
}

function OnePipeline({ id }: { id: Pipeline['id'] }) {
  const model = useModel(() => new PipelineModel(api, visible, id))
  const { pipeline, runs, versions } = model
  useEffect(() => void model.load(), [model])
  const title = pipeline.value.state === 'ready' ? pipeline.value.value.name : 'Pipeline'
  return (
    <Page title={title}>
      <Loaded of={pipeline} retry={() => void model.load()}>
        {(found) => (
          <>
            {found.description && <p>{found.description}</p>}
            <RunNow parameters={found.definition.parameters} start={model.start} />

            <h2>Runs</h2>
            <Loaded of={runs.list} retry={() => void runs.look()}>
              {({ items, nextCursor }) =>
                items.length === 0 ? (
                  <p>It has not run yet.</p>
                ) : (
                  <>
                    <RunsTable
                      runs={items}
                      caption="The runs of this pipeline, the newest first"
                      ofOnePipeline
                    />
                    <More model={runs} has={nextCursor !== undefined} />
                  </>
                )
              }
            </Loaded>

            <h2>Definition</h2>
            <p class={styles.version}>
              Version {found.version}, changed <Time at={found.updatedAt} />
            </p>
            {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable without a mouse */}
            <pre tabIndex={0} aria-label="Definition">
              {found.source}
            </pre>

            <h2>Versions</h2>
            <Loaded of={versions.list} retry={() => void versions.look()}>
              {({ items, nextCursor }) => (
                <>
                  <Table caption="Every version, the newest first">
                    <thead>
                      <tr>
                        <th scope="col" data-number>
                          Version
                        </th>
                        <th scope="col">Made</th>
                        <th scope="col">By</th>
                      </tr>
                    </thead>
                    <tbody>
                      {items.map((version) => (
                        <tr key={version.id}>
                          <th scope="row" data-number>
                            {version.version}
                          </th>
                          <td data-label="Made">
                            <Time at={version.createdAt} />
                          </td>
                          <td class={styles.by} data-label="By" data-wide>
                            {version.createdBy}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </Table>
                  <More model={versions} has={nextCursor !== undefined} />
                </>
              )}
            </Loaded>
          </>
        )}
      </Loaded>
    </Page>
  )
}
