import { findChannelNamed } from '#src/db/channels.ts'
import { outboxIdIn, outboxInsert } from '#src/db/outbox.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { storableText } from '#src/domain/json.ts'
import { resolveText } from '#src/domain/template.ts'
import { markOf, namesOf } from '../names.ts'
import type { StepOutcome, StepWork } from '../step.ts'

const mostCharacters = 4_000

/** The step has succeeded when its message is in the outbox: who is told it is no matter of the run's. */
export async function executeNotify(work: StepWork<'notify'>): Promise<StepOutcome> {
  const { services, db, run, definition } = work
  const { to, message } = definition.notify
  if (!(await findChannelNamed(db, to)))
    throw new StepFailure('no_channel', `There is no channel named "${to}".`)
  const subject = storableText(resolveText(message, namesOf(work)))
  if (subject.length > mostCharacters)
    throw new StepFailure(
      'message_too_long',
      `A message may have ${mostCharacters} characters; this one has ${subject.length}.`,
    )
  const mark = markOf(work)
  const body = {
    runId: run.id,
    pipelineId: run.pipelineId,
    pipeline: run.definition.name,
    step: definition.id,
  }
  return {
    statements: [outboxInsert(db.tenantId, 'notify', mark, { channel: to, subject, body })],
    result: { state: 'succeeded', rowsOut: 0 },
    async afterwards(results) {
      const outboxId = outboxIdIn(results, mark)
      if (outboxId === undefined) return
      await services.send(db.tenantId, [{ job: 'notify', payload: { tenantId: db.tenantId, outboxId } }])
    },
  }
}
