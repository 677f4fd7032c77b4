import { useModel } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { save } from '../../download.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { Section } from '../../ui/section.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { Costs } from './costs.tsx'
import { UsageModel } from './model.ts'
import styles from './page.module.css'
import { groupingOf, groupings, monthOf, type Grouping, type Period } from './period.ts'
import { Quotas } from './quotas.tsx'

/** What the organisation has used, what is left of it, and what it costs. */
export function UsagePage() {
  return (
    <SettingsPage title="Usage" needs="usage:read">
      {() => <Asked />}
    </SettingsPage>
  )
}

function Asked() {
  const { query } = useLocation()
  const month = query['month'] === 'last' ? 'last' : 'this'
  const by = groupingOf(query['by'])
  const period = monthOf(new Date(), month === 'last' ? 1 : 0)
  return <UsageOf key={`${month} ${by}`} month={month} period={period} by={by} />
}

type UsageOfProps = { month: 'this' | 'last'; period: Period; by: Grouping }

function UsageOf({ month, period, by }: UsageOfProps) {
  const { route } = useLocation()
  const model = useModel(() => new UsageModel(api, { ...period, by }))
  useEffect(() => void model.load(), [model])
  const go = (to: { month?: string; by?: string }) =>
    route(`/usage?${new URLSearchParams({ month, by, ...to }).toString()}`)
  return (
    <Loaded of={model.usage} retry={() => void model.load()}>
      {(usage) => (
        <>
          <Quotas plan={usage.plan} quotas={usage.quotas} />
          <Section title="What it costs">
            <div class={styles.bar}>
              <label>
                Month
                <select value={month} onChange={({ currentTarget }) => go({ month: currentTarget.value })}>
                  <option value="this">this one</option>
                  <option value="last">the last one</option>
                </select>
              </label>
              <label>
                By
                <select value={by} onChange={({ currentTarget }) => go({ by: currentTarget.value })}>
                  {Object.entries(groupings).map(([value, word]) => (
                    <option key={value} value={value}>
                      {word.toLowerCase()}
                    </option>
                  ))}
                </select>
              </label>
              <button
                type="button"
                onClick={() =>
                  void model
                    .table()
                    .then((table) => save(table, `usage-${usage.from}-${usage.to}-by-${by}.csv`))
                }
              >
                Export as CSV
              </button>
            </div>
            <Costs usage={usage} by={by} />
          </Section>
        </>
      )}
    </Loaded>
  )
}
