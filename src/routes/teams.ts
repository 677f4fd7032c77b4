import * as z from 'zod'
import {
  addToTeam,
  createTeam,
  deleteTeam,
  readTeam,
  readTeams,
  removeFromTeam,
  renameTeam,
} from '#src/actions/teams.ts'
import type { Team } from '#src/db/teams.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { created, listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const named = z.strictObject({ name: z.string().trim().min(1).max(100) })
const oneTeam = z.object({ id: ids.team })
const oneMember = z.object({ id: ids.team, userId: ids.user })

const toJson = (team: Team) => ({ ...team, createdAt: team.createdAt.toISOString() })

/** Teams; who is in one is listed by GET /v1/members?team=… */
export const teamRoutes = newRoutes()
  .post('/', valid('json', named), async (c) => {
    const made = await createTeam(c.var.ctx, c.req.valid('json').name)
    return created(c, `/v1/teams/${made.id}`, toJson(made))
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readTeams(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/:id', valid('param', oneTeam), async (c) =>
    c.json(toJson(await readTeam(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .patch('/:id', valid('param', oneTeam), valid('json', named), async (c) =>
    c.json(toJson(await renameTeam(c.var.ctx, c.req.valid('param').id, c.req.valid('json').name)), 200),
  )
  .delete('/:id', valid('param', oneTeam), async (c) => {
    await deleteTeam(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
  .put('/:id/members/:userId', valid('param', oneMember), async (c) => {
    const { id, userId } = c.req.valid('param')
    await addToTeam(c.var.ctx, id, userId)
    return c.body(null, 204)
  })
  .delete('/:id/members/:userId', valid('param', oneMember), async (c) => {
    const { id, userId } = c.req.valid('param')
    await removeFromTeam(c.var.ctx, id, userId)
    return c.body(null, 204)
  })
