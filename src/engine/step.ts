import type { TenantDb } from '#src/db/database.ts'
import type { ClaimedRun, ClaimedStep, StepResult } from '#src/db/run-moves.ts'
import type { Statement, StatementResult } from '#src/db/statement.ts'
import type { StepFailure } from '#src/domain/failure.ts'
import type { Json } from '#src/domain/json.ts'
import type { Step } from '#src/domain/pipeline.ts'
import type { LogLevel } from '#src/domain/log.ts'
import type { Budget } from './budget.ts'
import type { EngineServices } from './services.ts'
import type { StepLog } from './step-log.ts'

export type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>

/** What any step is given to do its work. */
export type Work = {
  services: EngineServices
  db: TenantDb
  run: ClaimedRun
  claimed: ClaimedStep
  /** Of a map: the item that the inner steps work on, after that of the map around it. */
  items?: readonly { as: string; value: Json }[]
  /** What the inner steps before have given. */
  innerOutputs?: Record<string, Json>
  budget: Budget
  signal: AbortSignal
  /** Told to those who watch. */
  progress: () => void
  /** Says something in the run's log; it is written with the step's next transaction. */
  log: (level: LogLevel, message: string) => void
  /** The same log, for who opens secrets or commits by itself. */
  stepLog: StepLog
}

/** The same, with the step's definition by its kind. */
export type StepWork<K extends Step['kind']> = Work & { definition: StepOf<K> }

/** What a step has come to, and the statements that make it true in the same transaction. */
export type StepOutcome = {
  result: StepResult
  statements?: readonly Statement[]
  /** Done once they are true, with what the statements gave. It may never be done: what counts is in the outbox. */
  afterwards?: (results: readonly StatementResult[]) => Promise<void>
  /** Asked when the statements fail: better words for it than the database has, if there are any. */
  explain?: () => Promise<StepFailure | undefined>
}

/** Kept for transforms, rules and SQL steps of one step; a step's own timeout is shorter or it is this. */
export const statementTimeoutMs = 15 * 60_000
