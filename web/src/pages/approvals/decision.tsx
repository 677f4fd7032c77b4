import type { Role } from '#src/domain/role.ts'
import type { Answered } from '../../load.ts'
import { mayDecide } from '../../may-run.ts'
import { Actions } from '../../ui/actions.tsx'
import { Confirm } from '../../ui/confirm.tsx'
import { text } from '../../ui/form.tsx'
import { Comment } from '../../ui/reason.tsx'
import { tooLateWords } from './decide.ts'
import styles from './decision.module.css'

type DecisionProps = {
  /** What is decided, such as "load of flights". */
  of: string
  pipelineId: string
  message: string | undefined
  roles: readonly Role[]
  decide: (isApproved: boolean, comment: string) => Promise<Answered<unknown>>
  say: (text: string) => void
}

/** The two buttons, for whom it is to decide; for the others, whose it is. */
export function Decision({ of, pipelineId, message, roles, decide, say }: DecisionProps) {
  if (!mayDecide(roles, pipelineId)) return <span class={styles.others}>for {inWords(roles)} to decide</span>
  const sides = [
    { word: 'Approve', isApproved: true, became: 'approved', effect: 'The run goes on.' },
    {
      word: 'Reject',
      isApproved: false,
      became: 'rejected',
      effect: 'The step fails, and what needs it is skipped.',
    },
  ]
  return (
    <Actions>
      {sides.map(({ word, isApproved, became, effect }) => (
        <Confirm
          key={word}
          word={word}
          name={`${word} ${of}`}
          title={`${word} ${of}?`}
          action={word}
          act={async (form) => {
            const answer = await decide(isApproved, text(form, 'comment'))
            const words = tooLateWords(of, answer)
            if (words !== undefined) say(words)
            return answer
          }}
          done={() => say(`${of} is ${became}.`)}
        >
          {message !== undefined && <p class={styles.message}>{message}</p>}
          <p>{effect} It is noted that you have decided this, and it cannot be taken back.</p>
          <Comment label="Comment" name="comment" />
        </Confirm>
      ))}
    </Actions>
  )
}

function inWords(roles: readonly Role[]): string {
  const names = roles.map((role) => `${/^[aeiou]/.test(role) ? 'an' : 'a'} ${role}`)
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} or ${last}`
}
