import { useModel, useSignal } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api, session } from '../../browser.ts'
import { isId } from '../../id.ts'
import { may } from '../../may.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Notice } from '../../ui/notice.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { ShownKey } from '../../ui/shown-key.tsx'
import { KeysModel, type Whose } from './model.ts'
import styles from './page.module.css'
import { KeysTable } from './table.tsx'

export function KeysPage() {
  const { query, route } = useLocation()
  const asked = query['of']
  const whose: Whose = may('api-keys:read') && (asked === 'all' || isId('sac', asked)) ? asked : 'mine'
  return (
    <SettingsPage title="API keys">
      {() => (
        <>
          <p>
            Programs show a key instead of signing in. A key never allows more than whoever it belongs to may
            do.
          </p>
          <div class={styles.bar}>
            <a class={styles.make} href={isId('sac', whose) ? `/keys/new?of=${whose}` : '/keys/new'}>
              Make a key
            </a>
            {may('api-keys:read') && (
              <label class={styles.whose}>
                Whose
                <select
                  value={isId('sac', whose) ? 'one' : whose}
                  onChange={({ currentTarget: { value } }) =>
                    route(value === 'all' ? '/keys?of=all' : '/keys')
                  }
                >
                  <option value="mine">my own</option>
                  <option value="all">everybody’s</option>
                  {isId('sac', whose) && <option value="one">one service account’s</option>}
                </select>
              </label>
            )}
            {may('api-keys:read') && <a href="/service-accounts">Service accounts</a>}
          </div>
          <Keys key={whose} whose={whose} />
        </>
      )}
    </SettingsPage>
  )
}

function Keys({ whose }: { whose: Whose }) {
  const state = session.state.value
  const userId = state.state === 'ready' ? state.value.user?.id : undefined
  const model = useModel(() => new KeysModel({ api, may, userId, whose }))
  const said = useSignal('')
  const { keys, made } = model
  useEffect(() => void model.load(), [model])
  return (
    <>
      <Notice text={said} />
      {made.value && (
        <ShownKey
          made={made.value}
          done={() => {
            made.value = undefined
          }}
        />
      )}
      <Loaded of={keys.list} retry={() => void keys.look()}>
        {({ items, nextCursor }) =>
          items.length === 0 ? (
            <p>{whose === 'mine' ? 'You have no key yet.' : 'There is no key yet.'}</p>
          ) : (
            <>
              <KeysTable keys={items} model={model} whose={whose} say={(text) => (said.value = text)} />
              <More model={keys} has={nextCursor !== undefined} />
            </>
          )
        }
      </Loaded>
    </>
  )
}
