import { answerStep, findWaitingStep } from '#src/db/answers.ts'
import type { RunId } from '#src/domain/id.ts'
import { storableText } from '#src/domain/json.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { actorName, type Role } from '#src/domain/role.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { allow, type Context } from './context.ts'

/** Where a step stands that waits for approval; inside a map the item's own place is around it. */
type Asked = { approval?: { roles: Role[] }; inner?: { approval?: { roles: Role[] } } | null }

/** Approves or rejects what a step waits for. Whoever may, and is the first to say so, decides. */
export async function decideStep(
  ctx: Context,
  step: { runId: RunId; step: string; mapIndex: number },
  decision: { approved: boolean; comment?: string | undefined },
): Promise<{ approved: boolean; by: string }> {
  allow(ctx, 'runs:write', { kind: 'run', id: step.runId })
  const found = await findWaitingStep(ctx.tenantDb, step.runId, step.step, step.mapIndex)
  if (!found) throw notFound('step')
  const asked = found.cursor as Asked | null
  const approval = asked?.approval ?? asked?.inner?.approval
  if (found.state !== 'waiting' || !approval || found.answerKey === null)
    throw new Problem('conflict', 'The step does not wait for an approval.')
  refuseOthers(ctx, approval.roles)
  const { approved, comment } = decision
  const by = actorName(ctx.actor)
  const said = comment === undefined ? {} : { comment: storableText(comment) }
  const wake = await answerStep(
    ctx.tenantDb,
    { ...step, key: found.answerKey },
    { approval: { approved, by, ...said } },
  )
  if (!wake) throw new Problem('conflict', 'Somebody else has decided this at the same moment.')
  ctx.defer(ctx.services.send(ctx.tenantId, wakeMessages(ctx.tenantId, step.runId, [wake])))
  ctx.services.live(ctx.tenantId, step.runId)
  return { approved, by }
}

/** People decide by their role; an API key by its scopes, which were asked for already. */
function refuseOthers({ actor }: Context, roles: readonly Role[]): void {
  if (actor.kind !== 'user' || roles.some((role) => role === actor.role)) return
  throw new Problem('forbidden', `This is for ${roles.join(', ')} to decide.`)
}
