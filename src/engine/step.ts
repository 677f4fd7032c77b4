import type { TenantDb } from '#src/db/database.ts'
import type { ClaimedRun, ClaimedStep, StepResult } from '#src/db/runs.ts'
import type { Statement } from '#src/db/statement.ts'
import type { StepFailure } from '#src/domain/failure.ts'
import type { Step } from '#src/domain/pipeline.ts'
import type { Budget } from './budget.ts'
import type { EngineServices } from './services.ts'

export type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>

/** What any step is given to do its work. */
export type Work = {
  services: EngineServices
  db: TenantDb
  run: ClaimedRun
  claimed: ClaimedStep
  budget: Budget
  signal: AbortSignal
  /** Told to those who watch. */
  progress: () => void
  /** What is to be done about what the step has made elsewhere, in the transaction that ends it without success. */
  leftBehind: Statement[]
}

/** The same, with the step's definition by its kind. */
export type StepWork<K extends Step['kind']> = Work & { definition: StepOf<K> }

/** What a step has come to, and the statements that make it true in the same transaction. */
export type StepOutcome = {
  result: StepResult
  statements?: readonly Statement[]
  /** Asked when the statements fail: better words for it than the database has, if there are any. */
  explain?: () => Promise<StepFailure | undefined>
}

/** Kept for transforms, rules and SQL steps of one step; a step's own timeout is shorter or it is this. */
export const statementTimeoutMs = 15 * 60_000
