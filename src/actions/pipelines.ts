import {
  deletePipeline as deletePipelineRow,
  getPipeline,
  insertPipeline,
  listPipelines,
  listPipelineVersions,
  replacePipeline,
  type NewVersion,
  type Pipeline,
  type PipelineVersion,
} from '#src/db/pipelines.ts'
import { badPatterns } from '#src/db/patterns.ts'
import { newId, type PipelineId, type ProjectId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import type { Definition, Step } from '#src/domain/pipeline.ts'
import { graphOf, type SqlReads } from '#src/domain/pipeline-graph.ts'
import type { SourceMap } from '#src/domain/pipeline-source.ts'
import { planned } from '#src/domain/planned-step.ts'
import { Problem, type FieldProblem } from '#src/domain/problem.ts'
import { actorName, can } from '#src/domain/role.ts'
import { everyStep, pathText } from '#src/domain/step-path.ts'
import { allow, allowIn, forbidden, type Context } from './context.ts'
import { missingNames } from './missing-names.ts'
import { refuseReferencesBeyond } from './references.ts'
import { refuseBadTriggers, startersOf } from './triggers.ts'

export type Source = { text: string; format: 'yaml' | 'json' }
export type Warning = FieldProblem

/**
 * Checks a definition as saving it would, and stores nothing. What it says of names tells what there is in the tenant, so it
 * is for those who read all pipelines, and for others where they could save it.
 */
export async function checkPipeline(
  ctx: Context,
  source: Source,
  where: { project?: ProjectId | undefined; pipeline?: PipelineId | undefined } = {},
): Promise<{ definition: Definition; warnings: Warning[] }> {
  if (!can(ctx.actor, 'pipelines:read')) await allowSaving(ctx, where)
  const { definition, warnings } = await checked(ctx, source)
  return { definition, warnings }
}

export async function createPipeline(
  ctx: Context,
  source: Source,
  project?: ProjectId,
): Promise<{ id: PipelineId; version: number; name: string; warnings: Warning[] }> {
  const projectId = allowIn(ctx, 'pipelines:write', project)
  const { definition, plan, warnings } = await checked(ctx, source)
  const id = newId('pipeline', ctx.now())
  await insertPipeline(ctx.tenantDb, id, projectId, await newVersion(ctx, definition, plan, source))
  return { id, version: 1, name: definition.name, warnings }
}

/** Stores the next version; runs that are under way keep theirs. */
export async function updatePipeline(
  ctx: Context,
  id: PipelineId,
  expected: readonly number[] | 'any',
  source: Source,
): Promise<{ id: PipelineId; version: number; name: string; warnings: Warning[] }> {
  allow(ctx, 'pipelines:write', { kind: 'pipeline', id })
  const { definition, plan, warnings } = await checked(ctx, source)
  const current = await getPipeline(ctx.tenantDb, id)
  const version = await replacePipeline(
    ctx.tenantDb,
    id,
    expected,
    current.version,
    await newVersion(ctx, definition, plan, source),
  )
  if (version === undefined) throw stale()
  return { id, version, name: definition.name, warnings }
}

const stale = () => new Problem('precondition_failed', 'It has changed since you read it; read it again.')

export async function readPipeline(ctx: Context, id: PipelineId): Promise<Pipeline> {
  allow(ctx, 'pipelines:read', { kind: 'pipeline', id })
  return getPipeline(ctx.tenantDb, id)
}

export async function readPipelines(
  ctx: Context,
  page: PageRequest,
  project?: ProjectId,
): Promise<Page<Pipeline>> {
  allow(ctx, 'pipelines:read')
  const before = page.after?.[0] as PipelineId | undefined
  return toPage(await listPipelines(ctx.tenantDb, before, page.limit, project), page.limit, (pipeline) => [
    pipeline.id,
  ])
}

export async function readPipelineVersions(
  ctx: Context,
  id: PipelineId,
  page: PageRequest,
): Promise<Page<PipelineVersion>> {
  allow(ctx, 'pipelines:read', { kind: 'pipeline', id })
  const before = page.after?.[0] === undefined ? undefined : Number(page.after[0])
  return toPage(await listPipelineVersions(ctx.tenantDb, id, before, page.limit), page.limit, (version) => [
    String(version.version),
  ])
}

export async function deletePipeline(
  ctx: Context,
  id: PipelineId,
  expected: readonly number[] | 'any',
): Promise<void> {
  allow(ctx, 'pipelines:write', { kind: 'pipeline', id })
  if ((await deletePipelineRow(ctx.tenantDb, id, expected)) === 'changed') throw stale()
}

/** Asked for at once: a definition without names would need nothing else of the database. */
async function allowSaving(
  ctx: Context,
  { project, pipeline }: { project?: ProjectId | undefined; pipeline?: PipelineId | undefined },
): Promise<void> {
  const own = ctx.actor.kind === 'api-key' ? ctx.actor.projectId : undefined
  if (pipeline) allow(ctx, 'pipelines:write', { kind: 'pipeline', id: pipeline })
  else if (project ?? own) allowIn(ctx, 'pipelines:write', project)
  else throw forbidden('pipelines:read')
  await ctx.tenantDb.statements([])
}

async function checked(ctx: Context, source: Source) {
  // Loaded when somebody saves: YAML and the schema of a definition are a third of what a Worker starts with.
  const { parsePipeline } = await import('#src/domain/pipeline.ts')
  const parsed = parsePipeline(source.text, source.format)
  if (!parsed.ok) throw refused(parsed.fields)
  const { definition } = parsed
  await refuseBadTriggers(ctx, definition, parsed.source)
  const sqlReads = await readsOfSql(ctx, definition, parsed.source)
  await refuseBadPatterns(ctx, definition, parsed.source)
  const graph = graphOf(definition, sqlReads, parsed.source)
  if (!graph.ok) throw refused(graph.fields)
  const plan = definition.steps.map((step, position) =>
    planned(step, position, graph.needs.get(step.id) ?? []),
  )
  await refuseReferencesBeyond(ctx, definition, plan, graph.reads)
  return {
    definition,
    plan,
    warnings: [...graph.warnings, ...(await missingNames(ctx, definition, parsed.source))],
  }
}

const refused = (fields: readonly FieldProblem[]) =>
  new Problem('invalid', 'The definition is not valid.', { fields })

/** Patterns run in PostgreSQL, so PostgreSQL says whether they are any. */
async function refuseBadPatterns(ctx: Context, definition: Definition, source: SourceMap): Promise<void> {
  const found = definition.steps.flatMap((step, i) =>
    step.kind === 'check'
      ? step.rules.flatMap((rule, j) => (rule.rule === 'matches' ? [{ i, j, pattern: rule.pattern }] : []))
      : [],
  )
  const bad = new Set(await badPatterns(ctx.tenantDb, [...new Set(found.map(({ pattern }) => pattern))]))
  const fields = found
    .filter(({ pattern }) => bad.has(pattern))
    .map(({ i, j }) => ({
      path: `steps[${i}].rules[${j}].pattern`,
      message: 'must be a regular expression as PostgreSQL reads them',
      ...source.at(['steps', i, 'rules', j, 'pattern']),
    }))
  if (fields.length > 0) throw refused(fields)
}

/** Parses every SELECT over datasets; what is wrong in one is placed in the text of the definition. */
async function readsOfSql(ctx: Context, definition: Definition, source: SourceMap): Promise<SqlReads> {
  const reads = new Map<string, { tables: string[]; parameters: string[] }>()
  const fields: FieldProblem[] = []
  for (const { step, key, path: at } of everyStep(definition.steps)) {
    const sql = selectOf(step)
    if (sql === undefined) continue
    const checked = await ctx.services.parser.checkSelect(sql, definition.parameters)
    if (checked.ok) reads.set(key, checked)
    else {
      const path = [...at, ...(step.kind === 'wait' ? ['wait', 'sql'] : ['sql'])]
      for (const field of checked.fields) {
        const inside =
          field.line === undefined ? '' : ` (line ${field.line} of the SQL, column ${field.column ?? 1})`
        fields.push({ path: pathText(path), message: `${field.message}${inside}`, ...source.at(path) })
      }
    }
  }
  if (fields.length > 0) throw refused(fields)
  return reads
}

/** SQL for another database is checked by that one. */
function selectOf(step: Step): string | undefined {
  if (step.kind === 'sql') return step.sql
  if (step.kind !== 'wait' || !('sql' in step.wait) || step.wait.connection !== undefined) return undefined
  return step.wait.sql
}

async function newVersion(
  ctx: Context,
  definition: Definition,
  plan: NewVersion['plan'],
  source: Source,
): Promise<NewVersion> {
  return {
    id: newId('pipelineVersion', ctx.now()),
    definition,
    plan,
    source: source.text,
    format: source.format,
    createdBy: actorName(ctx.actor),
    ...(await startersOf(ctx, definition)),
  }
}
