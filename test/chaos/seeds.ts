import { setTimeout as pause } from 'node:timers/promises'
import { pipeline } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/tenant.ts'
import { judge, type Group, type Verdict } from './judge.ts'
import { leaksOf } from './leaks.ts'
import { planOf, yamlOf, type Act, type Plan } from './plan.ts'
import type { Stage } from './stage.ts'

/**
 * A run that is not over so long after the last trouble counts as stuck. Trouble that comes at its last moment may take
 * the answer to a claim away, so that a lease of 30 s has to run out; nothing may take longer than that once all is well.
 */
const patienceMs = 60_000
const tickMs = 300

export type Outcome = { plan: Plan; verdict: Verdict; ms: number; ends: string[] }

/** Plays seeds, as many at once as there are tenants; whatever one of them breaks is broken for all of them. */
export async function play(
  stage: Stage,
  seeds: readonly number[],
  tell: (outcome: Outcome) => void = () => undefined,
): Promise<{ outcomes: Outcome[]; leaks: string[] }> {
  const over = new AbortController()
  const ticking = (async () => {
    while (!over.signal.aborted) {
      await stage.tick()
      await pause(tickMs)
    }
  })()
  const left = [...seeds]
  const outcomes: Outcome[] = []
  try {
    await Promise.all(
      stage.tenants.map(async (tenant) => {
        for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
          const outcome = await playOne(stage, tenant, planOf(seed))
          outcomes.push(outcome)
          tell(outcome)
        }
      }),
    )
    return { outcomes, leaks: await leaksOf(stage.owner, stage.warehouse) }
  } finally {
    over.abort()
    await ticking
  }
}

async function playOne(stage: Stage, tenant: Tenant, plan: Plan): Promise<Outcome> {
  const startedMs = Date.now()
  const salt = crypto.randomUUID().slice(0, 8)
  const fill = (text: string) => text.replaceAll('{salt}', salt).replaceAll('{outside}', stage.outside)
  const save = (yaml: string, name: string) => saved(stage, tenant, fill(yaml), fill(name))
  const children = plan.steps.flatMap(({ id, child }) => (child ? [{ id, child }] : []))
  const groups: Omit<Group, 'runIds'>[] = []
  const pipelineIds: string[] = []
  for (const { id, child } of children) {
    pipelineIds.push(await save(yamlOf(child.steps), child.name))
    groups.push({ steps: child.steps, startedBy: id })
  }
  const own = await save(plan.yaml, `chaos-${plan.seed}-{salt}`)
  groups.unshift({ steps: plan.steps })
  pipelineIds.unshift(own)

  const asked: Promise<string>[] = []
  const acting = plan.acts.map(async (act) => {
    await pause(act.atMs)
    await perform(stage, tenant, own, asked, act)
  })
  for (let i = 0; i < plan.runs; i++) asked.push(begun(tenant, own))
  await Promise.all([...asked, ...acting])
  await quiet(stage, pipelineIds)
  return insist(async () => {
    const { rows } = await stage.owner.query<{ id: string; pipeline: string; state: string }>(
      'select id, pipeline_id as pipeline, state from runs where pipeline_id = any($1) order by id',
      [pipelineIds],
    )
    const verdict = await judge(
      stage.owner,
      stage.warehouse,
      groups.map((group, i) => ({
        ...group,
        runIds: rows.filter((run) => run.pipeline === pipelineIds[i]).map(({ id }) => id),
      })),
      fill,
    )
    const ends = rows.filter((run) => run.pipeline === own).map(({ state }) => state)
    return { plan, verdict, ms: Date.now() - startedMs, ends }
  })
}

async function perform(
  stage: Stage,
  tenant: Tenant,
  pipelineId: string,
  runs: readonly Promise<string>[],
  act: Act,
): Promise<void> {
  switch (act.kind) {
    case 'trouble':
      return stage.strike(act.trouble)
    case 'cancel':
      // A run that is over already answers 409, and that is right too.
      return command(tenant, `/v1/runs/${await runs[act.run]}/cancel`)
    case 'pause':
      await command(tenant, `/v1/pipelines/${pipelineId}/pause`)
      await pause(act.forMs)
      return command(tenant, `/v1/pipelines/${pipelineId}/resume`)
  }
}

const command = (tenant: Tenant, path: string): Promise<void> =>
  insist(async () => {
    const reply = await tenant.fetch(path, { method: 'POST', body: {} })
    const text = await reply.text()
    if (reply.status >= 500 || reply.status === 429) throw new Error(`${path}: ${reply.status} ${text}`)
  })

/** Saves a definition; where the answer was lost it may be there all the same. */
const saved = (stage: Stage, tenant: Tenant, yaml: string, name: string): Promise<string> =>
  insist(async () => {
    const { rows } = await stage.owner.query<{ id: string }>(
      'select id from pipelines where tenant_id = $1 and name = $2',
      [tenant.id, name],
    )
    return rows[0]?.id ?? pipeline(tenant, yaml, name)
  })

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

/** Waits until every run is over, every message about it gone and what it left half-made cleared away, or patience is. */
async function quiet(stage: Stage, pipelineIds: readonly string[]): Promise<void> {
  const startedMs = Date.now()
  for (; Date.now() < Math.max(startedMs, stage.struckMs()) + patienceMs; await pause(80)) {
    const { rows } = await insist(() =>
      stage.owner.query<{ open: number }>(
        `with mine as (select id, finished_at from runs where pipeline_id = any($1))
         select (select count(*) from mine where finished_at is null)::int
           + (select count(*) from outbox where payload->>'runId' in (select id from mine))::int
           + (select count(*) from dataset_versions where state = 'building' and run_id in (select id from mine))::int as open`,
        [pipelineIds],
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
      await pause(200)
    }
  }
}
