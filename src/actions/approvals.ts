import {
  answerStep,
  findWaitingStep,
  listApprovals,
  rolesAskedFor,
  type WaitingApproval,
} from '#src/db/answers.ts'
import type { RunId } from '#src/domain/id.ts'
import { storableText } from '#src/domain/json.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { actorName, type Role } from '#src/domain/role.ts'
import { wakeMessages } from '#src/engine/wake.ts'
import { allow, type Context } from './context.ts'

/** Where a step stands that waits for approval; inside a map the item's own place is around it. */
type Asked = { approval?: { roles: Role[] }; inner?: { approval?: { roles: Role[] } } | null }

/** What waits for somebody to approve it, that of the oldest run first. */
export async function readApprovals(ctx: Context, page: PageRequest): Promise<Page<WaitingApproval>> {
  allow(ctx, 'runs:read')
  const [runId, position, mapIndex] = page.after ?? []
  const after =
    runId === undefined
      ? undefined
      : { runId: runId as RunId, position: Number(position), mapIndex: Number(mapIndex) }
  const found = await listApprovals(ctx.tenantDb, after, page.limit)
  return toPage(found, page.limit, (one) => [one.runId, String(one.position), String(one.mapIndex)])
}

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

/**
 * What asks for approval, now or later, only those who may give that may end as if it had been given: a step, or a map of
 * such, or a run with some that have not ended.
 */
export async function refuseInPlaceOf(ctx: Context, runId: RunId, step?: string): Promise<void> {
  for (const roles of await rolesAskedFor(ctx.tenantDb, runId, step)) refuseOthers(ctx, roles)
}

/** People decide by their role, and their API keys as they do. */
function refuseOthers({ actor }: Context, roles: readonly Role[]): void {
  if (actor.kind === 'job' || roles.some((role) => role === actor.role)) return
  throw new Problem('forbidden', `This is for ${roles.join(', ')} to decide.`)
}
