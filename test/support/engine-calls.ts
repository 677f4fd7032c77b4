import pg from 'pg'
import { inject } from 'vitest'
import { claimSigner } from '#src/db/claim.ts'
import type { Claim, ClaimedStep, Completion, StepResult } from '#src/db/run-moves.ts'
import { newId, type PipelineId, type RunId, type TenantId } from '#src/domain/id.ts'
import type { When } from '#src/domain/run-state.ts'

export type PlannedStep = { key: string; needs: string[]; when: When; connection?: string }

/** One session as the Worker's role that carries a tenant's claim and calls the engine's functions directly. */
export type EngineCalls = {
  claim(runId: RunId, outboxId: number | null, delivery: string, retry?: boolean): Promise<Claim>
  /** @param isLast the delivery takes no other step */
  complete(
    runId: RunId,
    step: ClaimedStep,
    result: StepResult,
    delivery: string,
    isLast?: boolean,
  ): Promise<Completion>
  checkpoint(runId: RunId, step: ClaimedStep, cursor?: unknown): Promise<void>
  renew(runId: RunId, step: ClaimedStep): Promise<'held' | 'cancelling' | 'lost'>
  cancel(runId: RunId): Promise<{ runState: string; over?: true } | null>
  start(pipelineId: PipelineId): Promise<RunId>
  client: pg.Client
  end(): Promise<void>
}

const leaseMs = 30_000

export async function engineCalls(url: string, tenantId: TenantId): Promise<EngineCalls> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const claim = await claimSigner(inject('env')['CLAIM_KEY'] ?? '', () => new Date())(tenantId, 'job')
  await client.query(`select set_config('app.claim', $1, false)`, [claim])
  const call = async <T>(text: string, params: unknown[]): Promise<T> => {
    const { rows } = await client.query<{ value: T }>(`select ${text} as value`, params)
    return (rows[0] as { value: T }).value
  }
  const at = (runId: RunId, { key, mapIndex, fence }: ClaimedStep) => [runId, key, mapIndex, fence]
  return {
    claim: (runId, outboxId, delivery, retry = false) =>
      call('app.claim_step($1, $2, $3, $4, $5)', [runId, outboxId, delivery, retry, leaseMs]),
    complete: (runId, step, result, delivery, isLast = false) =>
      call('app.complete_step($1, $2, $3, $4, $5, $6, $7)', [
        ...at(runId, step),
        JSON.stringify(result),
        delivery,
        isLast ? null : leaseMs,
      ]),
    checkpoint: async (runId, step, cursor = { at: 1 }) => {
      await call('app.checkpoint($1, $2, $3, $4, $5, $6, $7, $8)', [
        ...at(runId, step),
        JSON.stringify(cursor),
        1,
        1,
        leaseMs,
      ])
    },
    renew: (runId, step) => call('app.renew_lease($1, $2, $3, $4, $5)', [...at(runId, step), leaseMs]),
    cancel: (runId) => call('app.cancel_run($1)', [runId]),
    start: async (pipelineId) => {
      const runId = newId('run')
      await call('app.start_run($1, $2, $3, $4)', [runId, pipelineId, 'manual', '{}'])
      return runId
    },
    client,
    end: () => client.end(),
  }
}

/** A pipeline that only the engine's functions see: its steps have no definition, so nothing executes them. */
export async function plannedPipeline(
  owner: pg.Client,
  tenantId: TenantId,
  steps: readonly PlannedStep[],
  { concurrency = null, timeoutMs = 3_600_000 }: { concurrency?: number | null; timeoutMs?: number } = {},
): Promise<PipelineId> {
  const id = newId('pipeline')
  const plan = steps.map((step, position) => ({ ...step, kind: 'sql', position }))
  await owner.query(`insert into pipelines (tenant_id, id, name, current_version) values ($1, $2, $3, 1)`, [
    tenantId,
    id,
    `p-${crypto.randomUUID()}`,
  ])
  await owner.query(
    `insert into pipeline_versions (tenant_id, id, pipeline_id, version, definition, plan, source, format, concurrency, created_by)
     values ($1, $2, $3, 1, $4, $5, '', 'json', $6, 'test')`,
    [
      tenantId,
      newId('pipelineVersion'),
      id,
      JSON.stringify({ timeoutMs, steps: [] }),
      JSON.stringify(plan),
      concurrency,
    ],
  )
  return id
}

export async function newBareTenant(owner: pg.Client): Promise<TenantId> {
  const id = newId('tenant')
  await owner.query(`insert into tenants (tenant_id, name) values ($1, 'bare')`, [id])
  return id
}

/** The SQLSTATE that a call ended with, or 'ok'. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error.code ?? 'none'
    throw error
  }
}
