import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ask } from '../api.ts'
import { api, session } from '../browser.ts'
import { isId } from '../id.ts'
import { secondStep } from '../second-step.ts'
import { Alert } from './alert.tsx'
import type { ApiProblem } from '../load.ts'

type Own = { id: string; name: string }

/** The tenant that one works in; a choice, for who is in several. */
export function TenantSwitch({ current }: { current: Own }) {
  const own = useSignal<readonly Own[]>([])
  const problem = useSignal<ApiProblem | undefined>(undefined)
  useEffect(() => {
    void ask(api.v1.me.tenants.$get()).then((answer) => {
      if (answer.state === 'ready') own.value = answer.value.items
    })
  }, [current.id])

  async function go(tenantId: string) {
    if (!isId('ten', tenantId)) return
    const answer = await ask<unknown>(api.v1.sessions.switch.$post({ json: { tenantId } }))
    problem.value = answer.state === 'failed' ? answer.problem : undefined
    if (answer.state === 'failed') return
    const next = secondStep(answer.value)
    if (next === undefined) await session.open()
    else location.assign(next)
  }

  if (own.value.length < 2) return <>{current.name}</>
  return (
    <>
      <select
        aria-label="Organisation"
        value={current.id}
        onChange={(event) => void go(event.currentTarget.value)}
      >
        {own.value.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      {problem.value && <Alert problem={problem.value} />}
    </>
  )
}
