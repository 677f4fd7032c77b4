import { useModel } from '@preact/signals'
import { api, visible } from '../../browser.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Page } from '../../ui/page.tsx'
import { StatusPill } from '../../ui/status-pill.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import { PipelinesModel, type LastRuns } from './model.ts'
import styles from './page.module.css'

export function PipelinesPage() {
  const { pipelines, lastRuns } = useModel(() => new PipelinesModel(api, visible))
  return (
    <Page title="Pipelines">
      <Loaded of={pipelines.list} retry={() => void pipelines.look()}>
        {({ items, nextCursor }) =>
          items.length === 0 ? (
            <Empty />
          ) : (
            <>
              <Table caption="The pipelines, the newest first">
                <thead>
                  <tr>
                    <th scope="col">Pipeline</th>
                    <th scope="col">Last run</th>
                    <th scope="col" data-number>
                      Version
                    </th>
                    <th scope="col">Changed</th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((pipeline) => (
                    <tr key={pipeline.id}>
                      <th scope="row">
                        <a href={`/pipelines/${pipeline.id}`}>{pipeline.name}</a>
                        {pipeline.description && <p class={styles.description}>{pipeline.description}</p>}
                      </th>
                      <td data-label="Last run" data-wide>
                        <LastRun id={pipeline.id} runs={lastRuns.value} />
                      </td>
                      <td data-number data-label="Version">
                        {pipeline.version}
                      </td>
                      <td data-label="Changed">
                        <Time at={pipeline.updatedAt} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </Table>
              <More model={pipelines} has={nextCursor !== undefined} />
            </>
          )
        }
      </Loaded>
    </Page>
  )
}

function Empty() {
  return (
    <>
      <p>There is no pipeline yet. Make one by sending its definition to the API:</p>
      <pre>{`curl ${location.origin}/v1/pipelines -H 'Authorization: Bearer …' \\
  -H 'Content-Type: application/yaml' --data-binary @pipeline.yaml`}</pre>
    </>
  )
}

function LastRun({ id, runs }: { id: string; runs: LastRuns | undefined }) {
  if (runs === undefined) return null
  const run = runs.byPipeline.get(id)
  if (run === undefined) return <span class={styles.none}>{runs.all ? 'never' : 'none lately'}</span>
  return (
    <a class={styles.run} href={`/runs/${run.id}`}>
      <StatusPill state={run.state} /> <Time at={run.createdAt} />
    </a>
  )
}
