import * as z from 'zod'
import { changeRole, readMember, readMembers, removeMember } from '#src/actions/members.ts'
import { anonymiseMember, readFormerMembers } from '#src/actions/people.ts'
import type { Member } from '#src/db/members.ts'
import type { FormerMember } from '#src/db/people.ts'
import { ids } from '#src/domain/id.ts'
import { roleName } from '#src/domain/role.ts'
import { newRoutes } from '#src/http/api.ts'
import { listQuery, page, pageRequest } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const oneMember = z.object({ id: ids.user })
const change = z.strictObject({ role: roleName })
const filters = listQuery({
  role: roleName.optional(),
  /** A part of the address. */
  email: z.string().min(1).max(254).optional(),
  team: ids.team.optional(),
})

const toJson = ({ userId, email, role, joinedAt }: Member) => ({
  id: userId,
  email,
  role,
  joinedAt: new Date(joinedAt).toISOString(),
})

const formerToJson = ({ userId, role, leftAt, anonymisedAt }: FormerMember) => ({
  id: userId,
  role,
  leftAt: leftAt.toISOString(),
  ...(anonymisedAt ? { anonymisedAt: anonymisedAt.toISOString() } : {}),
})

export const memberRoutes = newRoutes()
  .get('/', valid('query', filters), async (c) => {
    const { role, email, team, ...paging } = c.req.valid('query')
    return page(c, await readMembers(c.var.ctx, { role, email, team }, await pageRequest(c, paging)), toJson)
  })
  .get('/former', valid('query', listQuery({})), async (c) =>
    page(c, await readFormerMembers(c.var.ctx, await pageRequest(c, c.req.valid('query'))), formerToJson),
  )
  .post('/former/:id/anonymise', valid('param', oneMember), async (c) => {
    await anonymiseMember(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
  .get('/:id', valid('param', oneMember), async (c) =>
    c.json(toJson(await readMember(c.var.ctx, c.req.valid('param').id)), 200),
  )
  .patch('/:id', valid('param', oneMember), valid('json', change), async (c) =>
    c.json(toJson(await changeRole(c.var.ctx, c.req.valid('param').id, c.req.valid('json').role)), 200),
  )
  .delete('/:id', valid('param', oneMember), async (c) => {
    await removeMember(c.var.ctx, c.req.valid('param').id)
    return c.body(null, 204)
  })
