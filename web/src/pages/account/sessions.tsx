import { Actions } from '../../ui/actions.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { Loaded } from '../../ui/loaded.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import { deviceName } from '../../ui/device.ts'
import type { OwnSession } from './model.ts'
import type { AccountProps } from './page.tsx'
import styles from './sessions.module.css'

/** Where one is signed in, and the ways to end that. */
export function Sessions({ model, say }: AccountProps) {
  return (
    <Loaded of={model.sessions} retry={() => void model.loadSessions()}>
      {({ items }) => (
        <>
          <Table caption="Your sessions, the one used last first">
            <thead>
              <tr>
                <th scope="col">Device</th>
                <th scope="col">Address</th>
                <th scope="col">Organisation</th>
                <th scope="col">Last seen</th>
                <th scope="col">End</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <Row key={one.id} one={one} model={model} say={say} />
              ))}
            </tbody>
          </Table>
          {items.length > 1 && (
            <p class={styles.all}>
              <Confirm
                word="Sign out everywhere else"
                title="Sign out everywhere else?"
                action="Sign out everywhere else"
                act={() => model.endOthers()}
                done={async () => {
                  await model.loadSessions()
                  say('You are signed out everywhere else.')
                }}
              >
                <p>All your sessions but this one end at once, in all of your organisations.</p>
              </Confirm>
            </p>
          )}
        </>
      )}
    </Loaded>
  )
}

function Row({ one, model, say }: AccountProps & { one: OwnSession }) {
  const device = deviceName(one.userAgent)
  return (
    <tr>
      <th scope="row" title={one.userAgent}>
        {device} {one.current && <span class={styles.current}>this one</span>}
        <span class={styles.since}>
          signed in <Time at={one.firstUsedAt} />
        </span>
      </th>
      <td data-label="Address" data-double>
        {one.address ?? 'unknown'}
      </td>
      <td data-label="Organisation" data-double>
        {one.tenant.name}
      </td>
      <td data-label="Last seen">
        <Time at={one.lastUsedAt} />
      </td>
      <td data-wide>
        {!one.current && (
          <Actions>
            <Confirm
              word="Sign out there"
              name={`Sign out there: ${device}, ${one.address ?? 'unknown address'}`}
              title="Sign out there?"
              action="Sign out there"
              act={() => model.end(one.id)}
              done={async () => {
                await model.loadSessions()
                say(`The session of ${device} has ended.`)
              }}
            >
              <p>
                The session of {device} ends within seconds; whoever uses it must sign in again. If it was not
                you, change your password as well.
              </p>
            </Confirm>
          </Actions>
        )}
      </td>
    </tr>
  )
}
