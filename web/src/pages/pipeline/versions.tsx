import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import type { PipelineModel } from './model.ts'
import styles from './page.module.css'

/** How the pipeline was defined before. */
export function Versions({ versions }: Pick<InstanceType<typeof PipelineModel>, 'versions'>) {
  return (
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
  )
}
