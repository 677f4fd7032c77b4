import { childStart, childWakeIn, findChildPipeline } from '#src/db/child-runs.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { newId, type RunId } from '#src/domain/id.ts'
import type { Json } from '#src/domain/json.ts'
import { resolveParameters, type Parameters } from '#src/domain/parameters.ts'
import { resolve } from '#src/domain/template.ts'
import { namesOf } from '../names.ts'
import type { StepOutcome, StepWork } from '../step.ts'
import { wakeMessages } from '../wake.ts'

/** Runs that start one another; a pipeline that starts itself ends here. */
const deepest = 10

type PipelineWork = StepWork<'pipeline'>

/**
 * Starts a run of another pipeline in the transaction that ends this step or makes it wait, so there is one child whatever
 * happens to the delivery. The child's end is the answer that the step waits for.
 */
export async function executePipeline(work: PipelineWork): Promise<StepOutcome> {
  const { claimed, definition } = work
  const answer = claimed.answer as { runId: RunId; state: string } | null | undefined
  if (answer) return ended(definition, answer)
  if (claimed.cursor?.['attempt'] === claimed.attempt)
    throw new StepFailure(
      'timeout',
      `Run ${String(claimed.cursor['child'])} took too long; it goes on by itself.`,
    )
  return start(work)
}

async function start(work: PipelineWork): Promise<StepOutcome> {
  const { services, db, run, claimed, definition } = work
  const { name, wait } = definition.pipeline
  const { id: pipelineId, version, parameters } = await checked(work)
  const childId = newId('run', services.now())
  const child = childStart(
    { id: childId, pipelineId },
    {
      parameters,
      checkedFor: version,
      traceparent: run.traceparent ?? undefined,
      scheduledFor: run.scheduledFor ?? undefined,
      // Only who waits is told of the end.
      parent: { runId: run.id, ...(wait ? { step: claimed.key, mapIndex: claimed.mapIndex } : {}) },
    },
  )
  return {
    statements: [child],
    result: wait
      ? { state: 'waiting', answerKey: childId, cursor: { attempt: claimed.attempt, child: childId } }
      : { state: 'succeeded', rowsOut: 0, output: { runId: childId, state: 'queued' } },
    async afterwards(results) {
      const outboxId = childWakeIn(results, childId)
      if (outboxId === undefined) return
      const wake = { id: outboxId, runId: childId }
      await services.send(db.tenantId, wakeMessages(db.tenantId, childId, [wake]))
    },
    explain: async () =>
      new StepFailure('pipeline_changed', `Pipeline "${name}" was changed at this moment.`, {
        retryable: true,
      }),
  }
}

async function checked(work: PipelineWork) {
  const { db, run, definition } = work
  const { name, parameters: templates } = definition.pipeline
  const found = await findChildPipeline(db, run.id, name, deepest)
  if (!found) throw new StepFailure('no_pipeline', `There is no pipeline named "${name}".`)
  if (found.depth >= deepest)
    throw new StepFailure(
      'too_deep',
      `${deepest} runs have started one another; does a pipeline start itself?`,
    )
  const given = resolve(templates, namesOf(work)) as Record<string, Json>
  const resolved = resolveParameters({ parameters: found.parameters }, given)
  if (!resolved.ok) {
    const words = resolved.fields.map(({ path, message }) => `${path} ${message}`).join('; ')
    throw new StepFailure('bad_parameters', `Pipeline "${name}" does not take these: ${words}.`)
  }
  return { ...found, parameters: resolved.parameters satisfies Parameters }
}

/** A child that failed fails the step, for it has had its own retries; where the step has a policy, another one is started. */
function ended(
  definition: PipelineWork['definition'],
  { runId, state }: { runId: RunId; state: string },
): StepOutcome {
  if (!state.startsWith('succeeded'))
    throw new StepFailure(
      state === 'cancelled' ? 'child_cancelled' : 'child_failed',
      `Run ${runId} of pipeline "${definition.pipeline.name}" ended as ${state}.`,
      { retryable: state === 'failed' && definition.retry !== undefined },
    )
  return {
    result: {
      state: 'succeeded',
      rowsOut: 0,
      cursor: null,
      output: { runId, state },
      ...(state === 'succeeded_with_warnings' ? { warned: true } : {}),
    },
  }
}
