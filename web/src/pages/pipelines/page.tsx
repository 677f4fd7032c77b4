import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, ask } from '../../api.ts'
import { loading, type Load } from '../../load.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { Time } from '../../ui/time.tsx'

type Summary = { id: string; name: string; description?: string; version: number; updatedAt: string }

export function PipelinesPage() {
  const list = useSignal<Load<{ items: Summary[] }>>(loading)
  useEffect(() => {
    document.title = 'Pipelines · Weir'
    void ask(api.v1.pipelines.$get({ query: {} })).then((answer) => (list.value = answer))
  }, [])
  return (
    <>
      <h1 tabIndex={-1}>Pipelines</h1>
      <Loaded of={list}>
        {({ items }) =>
          items.length === 0 ? (
            <p>
              There is no pipeline yet. Send a definition to <code>POST /v1/pipelines</code>; <code>examples/</code> has some.
            </p>
          ) : (
            <table>
              <caption>{items.length} pipelines, the newest first</caption>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">What it does</th>
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
                    </th>
                    <td>{pipeline.description ?? ''}</td>
                    <td data-number>{pipeline.version}</td>
                    <td>
                      <Time at={pipeline.updatedAt} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Loaded>
    </>
  )
}
