import * as z from 'zod'
import { changeGrant, giveGrant, readGrant, readGrants, takeGrant } from '#src/actions/grants.ts'
import type { Grant, SubjectId } from '#src/db/grants.ts'
import { levels, type GrantKind, type ResourceId } from '#src/domain/access.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const subjectId = z.union([ids.user, ids.team])
const resourceId = z.union([ids.project, ids.pipeline, ids.connection, ids.dataset])
const level = z.enum(levels)
const newGrant = z.strictObject({ subject: subjectId, resource: resourceId, level })
const change = z.strictObject({ level })
const oneGrant = z.object({ id: ids.grant })
const filters = listQuery({ subject: subjectId.optional(), resource: resourceId.optional() })

const kinds = { prj: 'project', pip: 'pipeline', con: 'connection', ds: 'dataset' } as const

/** What an id is of, by its prefix. */
export const resourceOf = (id: ResourceId): { kind: GrantKind; id: ResourceId } => ({
  kind: kinds[id.slice(0, id.indexOf('_')) as keyof typeof kinds],
  id,
})

const subjectOf = (id: SubjectId): Grant['subject'] => ({ kind: id.startsWith('usr_') ? 'user' : 'team', id })

const toJson = ({ id, subject, resource, level: has, createdBy, createdAt, updatedAt }: Grant) => ({
  id,
  subject,
  resource,
  level: has,
  createdBy,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
})

/** Who may do what on a single project, pipeline, connection or dataset. */
export const grantRoutes = newRoutes()
  .get('/', valid('query', filters), async (c) => {
    const { subject, resource, ...paging } = c.req.valid('query')
    return page(c, await readGrants(c.var.ctx, { subject, resource }, await pageRequest(c, paging)), toJson)
  })
  .post('/', valid('json', newGrant), async (c) => {
    const { subject, resource, level: wanted } = c.req.valid('json')
    const made = await giveGrant(c.var.ctx, {
      subject: subjectOf(subject),
      resource: resourceOf(resource),
      level: wanted,
    })
    return created(c, `/v1/grants/${made.id}`, toJson(made))
  })
  .get('/:id', valid('param', oneGrant), async (c) =>
    c.json(toJson(await readGrant(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .patch('/:id', valid('param', oneGrant), valid('json', change), async (c) =>
    c.json(toJson(await changeGrant(c.var.ctx, c.req.valid('param').id, c.req.valid('json').level)), 200),
  )
  .delete('/:id', valid('param', oneGrant), async (c) => {
    await takeGrant(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
