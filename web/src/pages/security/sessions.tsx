import { useSignal } from '@preact/signals'
import type { InferResponseType } from 'hono/client'
import { useEffect } from 'preact/hooks'
import { ask, type Client } from '../../api.ts'
import { api } from '../../browser.ts'
import { loading, type Load } from '../../load.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { Time } from '../../ui/time.tsx'

type All = InferResponseType<Client['v1']['sessions']['$get'], 200>
type Own = All['items'][number]

/** Where one is signed in, and the way to end that. */
export function Sessions() {
  const sessions = useSignal<Load<All>>(loading)
  const load = async () => {
    sessions.value = await ask<All>(api.v1.sessions.$get())
  }
  const end = async (id: Own['id']) => {
    await api.v1.sessions[':id'].$delete({ param: { id } })
    await load()
  }
  useEffect(() => void load(), [])
  return (
    <section aria-labelledby="sessions">
      <h2 id="sessions">Sessions</h2>
      <Loaded of={sessions} retry={() => void load()}>
        {({ items }) => (
          <table>
            <caption>Where you are signed in</caption>
            <thead>
              <tr>
                <th scope="col">Where</th>
                <th scope="col">Tenant</th>
                <th scope="col">Last used</th>
                <th scope="col">End</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <tr key={one.id}>
                  <th scope="row">{one.userAgent ?? 'A program'}</th>
                  <td>{one.tenant.name}</td>
                  <td>
                    <Time at={one.lastUsedAt} />
                  </td>
                  <td>
                    {one.current ? (
                      'This one'
                    ) : (
                      <button type="button" onClick={() => void end(one.id)}>
                        Sign out there
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Loaded>
    </section>
  )
}
