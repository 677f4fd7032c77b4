import { Actions } from '../../ui/actions.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { text } from '../../ui/form.tsx'
import { Table } from '../../ui/table.tsx'
import { Time } from '../../ui/time.tsx'
import { ownerOf, type Key, type KeysModel, type Whose } from './model.ts'
import styles from './table.module.css'

type KeysProps = { model: InstanceType<typeof KeysModel>; say: (text: string) => void }

/** Keys by name and beginning: what comes after that nobody can tell. */
export function KeysTable({ keys, model, whose, say }: KeysProps & { keys: readonly Key[]; whose: Whose }) {
  const nameOf = (id: string) => model.names.value.get(id) ?? id
  return (
    <Table caption="The keys, the newest first">
      <thead>
        <tr>
          <th scope="col">Key</th>
          {whose === 'all' && <th scope="col">Whose</th>}
          <th scope="col">Allows</th>
          <th scope="col">Good until</th>
          <th scope="col">Last used</th>
          <th scope="col">Change</th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.id}>
            <th scope="row">
              {key.name}
              <code class={styles.hint}>{key.hint}…</code>
            </th>
            {whose === 'all' && (
              <td data-label="Whose" data-wide>
                {nameOf(ownerOf(key))}
              </td>
            )}
            <td data-label="Allows" data-wide>
              <Allowed of={key} project={key.projectId && nameOf(key.projectId)} />
            </td>
            <td data-label="Good until">
              {key.expiresAt === undefined ? 'it is revoked' : <Time at={key.expiresAt} />}
              {key.replacedBy !== undefined && <span class={styles.note}>replaced by another</span>}
            </td>
            <td data-label="Last used">
              {key.lastUsedAt === undefined ? 'never' : <Time at={key.lastUsedAt} />}
              {key.lastUsedFrom !== undefined && <span class={styles.note}>from {key.lastUsedFrom}</span>}
            </td>
            <td data-wide>
              <Change one={key} model={model} say={say} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

const fewScopes = 2

function Allowed({ of: { scopes, ipAllow }, project }: { of: Key; project?: string | undefined }) {
  return (
    <>
      {scopes.length <= fewScopes ? (
        scopes.join(', ')
      ) : (
        <details>
          <summary>{scopes.length} permissions</summary>
          <ul class={styles.scopes}>
            {scopes.map((scope) => (
              <li key={scope}>{scope}</li>
            ))}
          </ul>
        </details>
      )}
      {project !== undefined && <span class={styles.note}>only in {project}</span>}
      {ipAllow !== undefined && <span class={styles.note}>only from {ipAllow.join(', ')}</span>}
    </>
  )
}

function Change({ one, model, say }: KeysProps & { one: Key }) {
  return (
    <Actions>
      {model.canRotate(one) && (
        <Confirm
          word="Rotate"
          name={`Rotate ${one.name}`}
          title={`Rotate ${one.name}?`}
          action="Make the new key"
          act={(form) => model.rotate(one, Number(text(form, 'overlapMs')))}
          done={() => undefined}
        >
          <p>A new key takes its place, with the same name and permissions. It is shown once.</p>
          <label>
            The old key stays good
            <select name="overlapMs">
              <option value="0">no longer</option>
              <option value="3600000">for an hour</option>
              <option value="86400000" selected>
                for a day
              </option>
              <option value="604800000">for a week</option>
            </select>
          </label>
        </Confirm>
      )}
      {model.canRevoke(one) && (
        <Confirm
          word="Revoke"
          name={`Revoke ${one.name}`}
          title={`Revoke ${one.name}?`}
          action="Revoke"
          act={() => model.revoke(one)}
          done={() => say(`The key ${one.name} is revoked.`)}
        >
          <p>
            Whatever shows <code>{one.hint}…</code> is refused from now on. This cannot be taken back.
          </p>
        </Confirm>
      )}
    </Actions>
  )
}
