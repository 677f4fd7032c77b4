import { referencesBeyond } from '#src/db/references.ts'
import type { Definition } from '#src/domain/pipeline.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import { Problem } from '#src/domain/problem.ts'
import { can, type Permission } from '#src/domain/role.ts'
import { everyStep } from '#src/domain/step-path.ts'
import type { Context } from './context.ts'

const enough: readonly Permission[] = ['connections:read', 'datasets:read', 'datasets:write', 'runs:write']

/**
 * A run works with the tenant's rights, so whoever writes what it does must be allowed to do all of that by hand: run what
 * the definition connects to and starts, read the datasets that it reads, edit those that it fills.
 */
export async function refuseReferencesBeyond(
  ctx: Context,
  { steps }: Definition,
  plan: readonly PlannedStep[],
  reads: readonly string[],
): Promise<void> {
  if (enough.every((one) => can(ctx.actor, one))) return
  const every = everyStep(steps).map(({ step }) => step)
  const beyond = await referencesBeyond(ctx.tenantDb, {
    connections: unique([
      ...plan.flatMap(({ connection }) => connection ?? []),
      ...every.flatMap((step) =>
        step.kind === 'wait' && 'connection' in step.wait ? (step.wait.connection ?? []) : [],
      ),
    ]),
    reads: unique(reads),
    writes: unique(every.flatMap((step) => ('into' in step && step.into !== undefined ? [step.into] : []))),
    pipelines: unique(every.flatMap((step) => (step.kind === 'pipeline' ? [step.pipeline.name] : []))),
  })
  const words = [
    ...beyond.connections.map((name) => `run connection "${name}"`),
    ...beyond.reads.map((name) => `read dataset "${name}"`),
    ...beyond.writes.map((name) => `edit dataset "${name}"`),
    ...beyond.pipelines.map((name) => `run pipeline "${name}"`),
  ]
  if (words.length > 0)
    throw new Problem(
      'forbidden',
      `A pipeline of yours may do what you may do; you may not ${words.join(', ')}.`,
    )
}

const unique = (names: readonly string[]): string[] => [...new Set(names)]
