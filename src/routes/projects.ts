import * as z from 'zod'
import {
  createProject,
  deleteProject,
  moveResource,
  readProject,
  readProjectResources,
  readProjects,
  updateProject,
} from '#src/actions/projects.ts'
import { movables, type Project } from '#src/db/projects.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const name = z.string().trim().min(1).max(100)
const description = z.string().trim().max(1_000)
const newProject = z.strictObject({ name, description: description.optional() })
const change = z
  .strictObject({
    name: name.optional(),
    description: description.nullable().optional(),
    archived: z.boolean().optional(),
  })
  .refine((given) => Object.keys(given).length > 0, { error: 'must change something' })
const oneProject = z.object({ id: ids.project })
const kind = z.enum(movables)
const anyId = z.union([ids.pipeline, ids.connection, ids.dataset])
const resource = z.strictObject({ kind, id: anyId })
const oneResource = z.object({ id: ids.project, kind, resourceId: anyId })
const filters = listQuery({ archived: z.enum(['true', 'false']).optional() })

const toJson = ({ description: text, archivedAt, ...project }: Project) => ({
  ...project,
  ...(text === null ? {} : { description: text }),
  createdAt: project.createdAt.toISOString(),
  updatedAt: project.updatedAt.toISOString(),
  ...(archivedAt ? { archivedAt: archivedAt.toISOString() } : {}),
})

export const projectRoutes = newRoutes()
  .post('/', valid('json', newProject), async (c) => {
    const made = await createProject(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/projects/${made.id}`, toJson(made))
  })
  .get('/', valid('query', filters), async (c) => {
    const { archived, ...paging } = c.req.valid('query')
    const filter = archived === undefined ? {} : { archived: archived === 'true' }
    return page(c, await readProjects(c.var.ctx, filter, await pageRequest(c, paging)), toJson)
  })
  .get('/:id', valid('param', oneProject), async (c) =>
    c.json(toJson(await readProject(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .patch('/:id', valid('param', oneProject), valid('json', change), async (c) =>
    c.json(toJson(await updateProject(c.var.ctx, c.req.valid('param').id, c.req.valid('json'))), 200),
  )
  .delete('/:id', valid('param', oneProject), async (c) => {
    await deleteProject(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
  .get('/:id/resources', valid('param', oneProject), async (c) =>
    c.json({ items: await readProjectResources(c.var.ctx, c.req.valid('param').id) }, 200),
  )
  .post('/:id/resources', valid('param', oneProject), valid('json', resource), async (c) => {
    await moveResource(c.var.ctx, { ...c.req.valid('json'), to: c.req.valid('param').id })
    return c.body(null, 204)
  })
  .delete('/:id/resources/:kind/:resourceId', valid('param', oneResource), async (c) => {
    const { kind: what, resourceId } = c.req.valid('param')
    await moveResource(c.var.ctx, { kind: what, id: resourceId, to: null })
    return c.body(null, 204)
  })
