import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, ask } from '../../api.ts'
import { loading, type Load } from '../../load.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { RunsTable, type RunSummary } from './table.tsx'

const everyMs = 5_000

export function RunsPage() {
  const list = useSignal<Load<{ items: RunSummary[] }>>(loading)
  useEffect(() => {
    document.title = 'Runs · Weir'
    const look = async () => {
      if (document.visibilityState === 'visible') list.value = await ask(api.v1.runs.$get({ query: {} }))
    }
    void look()
    const timer = setInterval(() => void look(), everyMs)
    return () => clearInterval(timer)
  }, [])
  return (
    <>
      <h1 tabIndex={-1}>Runs</h1>
      <Loaded of={list}>{({ items }) => <RunsTable runs={items} />}</Loaded>
    </>
  )
}
