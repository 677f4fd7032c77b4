import { setTimeout as pause } from 'node:timers/promises'
import type { Tenant } from '#test/support/tenant.ts'
import { pipeline } from '#test/support/pipeline.ts'
import { judge, type Verdict } from './judge.ts'
import { planOf, type Plan } from './plan.ts'
import type { Stage } from './stage.ts'

/** After this a run that is not over counts as stuck. */
const patienceMs = 60_000
const tickMs = 500

export type Outcome = { plan: Plan; verdict: Verdict; ms: number; ends: string[] }

/** Plays seeds side by side on one stage; whatever one of them breaks is broken for all of them. */
export async function play(stage: Stage, seeds: readonly number[]): Promise<Outcome[]> {
  const over = new AbortController()
  const ticking = (async () => {
    while (!over.signal.aborted) {
      await stage.tick()
      await pause(tickMs)
    }
  })()
  try {
    const plans = seeds.map((seed) => planOf(seed))
    return await Promise.all(
      plans.map((plan, i) => {
        const tenant = stage.tenants[i % stage.tenants.length]
        if (!tenant) throw new Error('a stage has a tenant')
        return playOne(stage, tenant, plan)
      }),
    )
  } finally {
    over.abort()
    await ticking
  }
}

async function playOne(stage: Stage, tenant: Tenant, plan: Plan): Promise<Outcome> {
  const startedMs = Date.now()
  const id = await insist(() =>
    pipeline(tenant, plan.yaml, `chaos-${plan.seed}-${crypto.randomUUID().slice(0, 8)}`),
  )
  const striking = plan.faults.map(async ({ atMs, kind }) => {
    await pause(atMs)
    await stage.strike(kind)
  })
  const asked = await Promise.all(Array.from({ length: plan.runs }, () => begun(tenant, id)))
  const cancelling = plan.cancels.map(async ({ run, atMs }) => {
    await pause(atMs)
    // A run that is over already answers 409, and that is right too.
    await insist(() => tenant.fetch(`/v1/runs/${asked[run]}/cancel`, { method: 'POST' }))
  })
  await Promise.all([...striking, ...cancelling])
  const runIds = await insist(() => runsOf(stage, id))
  await quiet(stage, runIds)
  const verdict = await insist(() => judge(stage.owner, stage.warehouse, plan, runIds))
  const { rows } = await insist(() =>
    stage.owner.query<{ state: string }>('select state from runs where id = any($1)', [runIds]),
  )
  return { plan, verdict, ms: Date.now() - startedMs, ends: rows.map(({ state }) => state) }
}

/**
 * Starts a run, and asks again where the answer was lost: the run may have begun all the same, so in the end all runs of
 * the pipeline are judged.
 */
const begun = (tenant: Tenant, pipelineId: string): Promise<string> =>
  insist(async () => {
    const reply = await tenant.fetch('/v1/runs', { method: 'POST', body: { pipelineId } })
    const text = await reply.text()
    if (reply.status !== 202) throw new Error(`a run was answered ${reply.status}: ${text}`)
    return (JSON.parse(text) as { id: string }).id
  })

const runsOf = async (stage: Stage, pipelineId: string): Promise<string[]> => {
  const { rows } = await stage.owner.query<{ id: string }>('select id from runs where pipeline_id = $1', [
    pipelineId,
  ])
  return rows.map(({ id }) => id)
}

/** Waits until every run is over and every message about it is gone, or patience is. */
async function quiet(stage: Stage, runIds: readonly string[]): Promise<void> {
  for (const until = Date.now() + patienceMs; Date.now() < until; await pause(60)) {
    const { rows } = await insist(() =>
      stage.owner.query<{ open: number }>(
        `select (select count(*) from runs where id = any($1) and finished_at is null)::int
          + (select count(*) from outbox where kind = 'run' and payload->>'runId' = any($1))::int as open`,
        [runIds],
      ),
    )
    if (rows[0]?.open === 0) return
  }
}

/** What is asked while things are broken is asked again. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (const until = Date.now() + patienceMs; ;) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > until) throw error
      await pause(300)
    }
  }
}
