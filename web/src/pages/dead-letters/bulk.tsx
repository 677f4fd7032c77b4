import { may } from '../../may.ts'
import { mayRun } from '../../may-run.ts'
import { Confirm } from '../../ui/confirm.tsx'
import { count } from '../../ui/figures.ts'
import { Reason, reasonIn } from '../../ui/reason.tsx'
import { isHeeded, type Filter } from './filter.ts'
import { outcomeWords, type LettersModel } from './model.ts'
import styles from './bulk.module.css'

type BulkProps = {
  model: InstanceType<typeof LettersModel>
  filter: Filter
  say: (text: string) => void
}

const again = ['run is started again', 'runs are started again'] as const

/** What is done to several at once. */
export function Bulk({ model, filter, say }: BulkProps) {
  // Who may run only some pipelines can ask for all that fits of one of those.
  const mayAll =
    isHeeded(filter) && (filter.pipelineId === undefined ? may('runs:write') : mayRun(filter.pipelineId))
  const chosen = model.picked.value.length
  return (
    <div class={styles.bulk}>
      {chosen > 0 && (
        <>
          <span>{count(chosen)} chosen:</span>
          <Confirm
            word="Replay chosen"
            title={`Replay ${count(chosen)} dead ${chosen === 1 ? 'letter' : 'letters'}?`}
            action="Replay"
            act={(form) => model.replayChosen(reasonIn(form))}
            done={(outcome) => say(outcomeWords(outcome, ...again))}
          >
            <p>Each run of theirs is done again, once, from what failed.</p>
            <Reason />
          </Confirm>
          <Confirm
            word="Dismiss chosen"
            title={`Dismiss ${count(chosen)} dead ${chosen === 1 ? 'letter' : 'letters'}?`}
            action="Dismiss"
            act={(form) => model.dismissChosen(reasonIn(form))}
            done={(outcome) =>
              say(outcomeWords(outcome, 'dead letter is dismissed', 'dead letters are dismissed'))
            }
          >
            <p>They are let be: nothing is done again. This cannot be taken back.</p>
            <Reason />
          </Confirm>
        </>
      )}
      {mayAll && (
        <Confirm
          word="Replay all that fit"
          title="Replay all that fit?"
          action="Replay all"
          act={(form) => model.replayAll(reasonIn(form))}
          done={(outcome) => say(outcomeWords(outcome, ...again))}
        >
          <p>
            Every open dead letter that fits what is asked for above, also those further down; at most 1,000
            runs, each done again once from what failed.
          </p>
          <Reason />
        </Confirm>
      )}
    </div>
  )
}
