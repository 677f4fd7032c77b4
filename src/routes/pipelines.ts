import type { Context } from 'hono'
import * as z from 'zod'
import { pausePipeline, resumePipeline } from '#src/actions/control.ts'
import {
  checkPipeline,
  createPipeline,
  deletePipeline,
  readPipeline,
  readPipelines,
  readPipelineVersions,
  updatePipeline,
  type Source,
} from '#src/actions/pipelines.ts'
import type { Pipeline, PipelineVersion } from '#src/db/pipelines.ts'
import { ids } from '#src/domain/id.ts'
import { Problem } from '#src/domain/problem.ts'
import { newRoutes, type ApiEnv } from '#src/http/api.ts'
import { readText } from '#src/http/body.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'
import { reason } from './reason.ts'

const onePipeline = z.object({ id: ids.pipeline })
/** The project that it is made in. */
const where = z.strictObject({ project: ids.project.optional() })
/** Where somebody would save what they check, who does not read all pipelines. */
const whereTo = z.strictObject({ project: ids.project.optional(), pipeline: ids.pipeline.optional() })
const pause = z.strictObject({ reason: reason.optional() })

/** The body is the definition itself, in YAML or JSON, as it would stand in a file. */
async function readSource(c: Context<ApiEnv>): Promise<Source> {
  const mediaType = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  const text = await readText(c.req)
  if (/^(application|text)\/(x-)?yaml$/.test(mediaType)) return { text, format: 'yaml' }
  if (mediaType === 'application/json') return { text, format: 'json' }
  throw new Problem('unsupported_media_type', 'Send the definition as application/yaml or application/json.')
}

const pausedToJson = (at: Date, { pausedBy, pausedReason }: Pipeline) => ({
  at: at.toISOString(),
  by: pausedBy ?? '',
  ...(pausedReason ? { reason: pausedReason } : {}),
})

const summary = (pipeline: Pipeline) => ({
  id: pipeline.id,
  name: pipeline.name,
  ...(pipeline.definition.description ? { description: pipeline.definition.description } : {}),
  ...(pipeline.projectId ? { projectId: pipeline.projectId } : {}),
  version: pipeline.version,
  ...(pipeline.pausedAt ? { paused: pausedToJson(pipeline.pausedAt, pipeline) } : {}),
  createdAt: pipeline.createdAt.toISOString(),
  updatedAt: pipeline.updatedAt.toISOString(),
})

const toJson = (pipeline: Pipeline) => ({
  ...summary(pipeline),
  definition: pipeline.definition,
  source: pipeline.source,
  format: pipeline.format,
})

const versionToJson = (version: PipelineVersion) => ({
  ...version,
  createdAt: version.createdAt.toISOString(),
})

export const pipelineRoutes = newRoutes()
  .post('/', valid('query', where), async (c) => {
    const made = await createPipeline(c.var.ctx, await readSource(c), c.req.valid('query').project)
    c.header('ETag', etagOf(made.version))
    return created(c, `/v1/pipelines/${made.id}`, made)
  })
  .post('/check', valid('query', whereTo), async (c) =>
    c.json(await checkPipeline(c.var.ctx, await readSource(c), c.req.valid('query')), 200),
  )
  .get('/', valid('query', listQuery({ project: ids.project.optional() })), async (c) => {
    const { project, ...paging } = c.req.valid('query')
    return page(c, await readPipelines(c.var.ctx, await pageRequest(c, paging), project), summary)
  })
  .get('/:id', valid('param', onePipeline), async (c) => {
    const pipeline = await readPipeline(c.var.ctx, c.req.valid('param').id)
    return single(c, toJson(pipeline), etagOf(pipeline.version))
  })
  .put('/:id', valid('param', onePipeline), async (c) => {
    const expected = expectedVersions(c)
    const made = await updatePipeline(c.var.ctx, c.req.valid('param').id, expected, await readSource(c))
    c.header('ETag', etagOf(made.version))
    return c.json(made, 200)
  })
  .delete('/:id', valid('param', onePipeline), async (c) => {
    await deletePipeline(c.var.ctx, c.req.valid('param').id, expectedIfSaid(c))
    return c.body(null, 204)
  })
  .get('/:id/versions', valid('param', onePipeline), valid('query', listQuery({})), async (c) => {
    const asked = await pageRequest(c, c.req.valid('query'))
    return page(c, await readPipelineVersions(c.var.ctx, c.req.valid('param').id, asked), versionToJson)
  })
  .post('/:id/pause', valid('param', onePipeline), valid('json', pause), async (c) => {
    const { id } = c.req.valid('param')
    const { pausedAt, pausedBy, reason: why } = await pausePipeline(c.var.ctx, id, c.req.valid('json').reason)
    const at = new Date(pausedAt).toISOString()
    return c.json({ id, paused: { at, by: pausedBy, ...(why ? { reason: why } : {}) } }, 200)
  })
  .post('/:id/resume', valid('param', onePipeline), async (c) => {
    const { id } = c.req.valid('param')
    await resumePipeline(c.var.ctx, id)
    return c.json({ id }, 200)
  })
