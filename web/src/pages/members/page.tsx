import { useModel, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { may } from '../../may.ts'
import { Loaded } from '../../ui/loaded.tsx'
import { More } from '../../ui/more.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Section } from '../../ui/section.tsx'
import { SettingsPage } from '../../ui/settings-page.tsx'
import { Invitations } from './invitations.tsx'
import { Invite } from './invite.tsx'
import { MembersModel } from './model.ts'
import { MembersTable } from './table.tsx'

export type MembersProps = { model: InstanceType<typeof MembersModel>; say: (text: string) => void }

export function MembersPage() {
  return (
    <SettingsPage title="Members" needs="members:read">
      {() => <Members />}
    </SettingsPage>
  )
}

function Members() {
  const model = useModel(() => new MembersModel(api, may))
  const said = useSignal('')
  const say = (text: string) => {
    said.value = text
  }
  const { members, invitations } = model
  useEffect(() => void model.load(), [model])
  return (
    <>
      <Notice text={said} />
      <Loaded of={members.list} retry={() => void members.look()}>
        {({ items, nextCursor }) => (
          <>
            <MembersTable members={items} model={model} say={say} />
            <More model={members} has={nextCursor !== undefined} />
          </>
        )}
      </Loaded>
      {may('members:write') && (
        <Section title="Invite somebody">
          <Invite model={model} say={say} />
        </Section>
      )}
      <Section title="Open invitations">
        <Loaded of={invitations.list} retry={() => void invitations.look()}>
          {({ items, nextCursor }) =>
            items.length === 0 ? (
              <p>Nobody is invited at the moment.</p>
            ) : (
              <>
                <Invitations invitations={items} model={model} say={say} />
                <More model={invitations} has={nextCursor !== undefined} />
              </>
            )
          }
        </Loaded>
      </Section>
    </>
  )
}
