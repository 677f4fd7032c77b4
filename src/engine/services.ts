import type { Database } from '#src/db/database.ts'
import type { PlaceSigner } from '#src/domain/audit.ts'
import type { SecretBox } from '#src/db/secrets.ts'
import type { AnswerTokens } from '#src/domain/answer-token.ts'
import type { CallRequest } from '#src/domain/call.ts'
import type { RunId, TenantId } from '#src/domain/id.ts'
import type { Message } from '#src/domain/job.ts'
import type { SqlParser } from '#src/lineage/sql.ts'
import type { OpenSandbox } from '#src/sandbox/sandbox.ts'
import type { Storage } from '#src/storage/storage.ts'
import type { DeliveryLimits } from './budget.ts'

/** What executing a run needs from the outside. */
export type EngineServices = {
  database: Database
  storage: Storage
  secrets: SecretBox
  parser: SqlParser
  sandbox: OpenSandbox
  /** Sends jobs that are in the outbox already; never throws, for what fails is sent again by the tick. */
  send: (tenantId: TenantId, messages: readonly Message[]) => Promise<void>
  /** Has QStash make a request in our place; throws when it has not taken it over. */
  request: (tenantId: TenantId, request: CallRequest) => Promise<void>
  answerTokens: AnswerTokens
  /** Signs where the tenants' audit chains end. */
  placeSigner: PlaceSigner
  /** Where others reach this Worker. */
  publicUrl: string
  /** Tells those who watch the run that it moved; may be lost. */
  live: (tenantId: TenantId, runId: RunId, last?: boolean) => void
  allowPrivateHosts: boolean
  /** What one delivery may use; the platforms' limits when it is not said. */
  deliveryLimits?: DeliveryLimits
  /** Leaves also the first steps of a run to QStash. */
  neverHere?: boolean
  now: () => Date
  random: () => number
  log: (entry: Record<string, unknown>) => void
}
