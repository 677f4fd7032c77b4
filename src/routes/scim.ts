import {
  createGroup,
  deleteGroup,
  groupToScim,
  patchGroup,
  readGroup,
  readGroups,
  replaceGroup,
} from '#src/actions/scim/groups.ts'
import { userToScim } from '#src/actions/scim/user-resource.ts'
import {
  allowScim,
  createUser,
  deleteUser,
  patchUser,
  readUser,
  readUsers,
  replaceUser,
} from '#src/actions/scim/users.ts'
import { notFound } from '#src/domain/problem.ts'
import { newRoutes } from '#src/http/api.ts'
import {
  listAsked,
  mostItems,
  scimBase,
  scimBody,
  scimList,
  scimReply,
  scimResource,
  versionsMeant,
  wants,
} from '#src/http/scim.ts'
import { resourceTypes, schemaList, serviceProviderConfig } from './scim-schemas.ts'

const everything = { startIndex: 1, count: mostItems }

/** SCIM 2.0 (RFC 7643, 7644): the identity provider keeps the tenant's people and teams as it has them. */
export const scimRoutes = newRoutes()
  .get('/ServiceProviderConfig', (c) => {
    allowScim(c.var.ctx)
    return scimReply(c, serviceProviderConfig(scimBase(c), mostItems))
  })
  .get('/ResourceTypes', (c) => {
    allowScim(c.var.ctx)
    const types = resourceTypes(scimBase(c))
    return scimList(c, everything, types.length, types)
  })
  .get('/ResourceTypes/:name', (c) => {
    allowScim(c.var.ctx)
    const type = resourceTypes(scimBase(c)).find(({ name }) => name === c.req.param('name'))
    if (!type) throw notFound('resource type')
    return scimReply(c, type)
  })
  .get('/Schemas', (c) => {
    allowScim(c.var.ctx)
    const schemas = schemaList(scimBase(c))
    return scimList(c, everything, schemas.length, schemas)
  })
  .get('/Schemas/:id', (c) => {
    allowScim(c.var.ctx)
    const schema = schemaList(scimBase(c)).find(({ id }) => id === c.req.param('id'))
    if (!schema) throw notFound('schema')
    return scimReply(c, schema)
  })
  .get('/Users', async (c) => {
    const { filter, page } = listAsked(c)
    const { total, items } = await readUsers(c.var.ctx, filter, page)
    return scimList(
      c,
      page,
      total,
      items.map((user) => userToScim(user, scimBase(c))),
    )
  })
  .post('/Users', async (c) =>
    scimResource(c, userToScim(await createUser(c.var.ctx, await scimBody(c)), scimBase(c)), 201),
  )
  .get('/Users/:id', async (c) =>
    scimResource(c, userToScim(await readUser(c.var.ctx, c.req.param('id')), scimBase(c))),
  )
  .put('/Users/:id', async (c) => {
    const user = await replaceUser(c.var.ctx, c.req.param('id'), versionsMeant(c), await scimBody(c))
    return scimResource(c, userToScim(user, scimBase(c)))
  })
  .patch('/Users/:id', async (c) => {
    const user = await patchUser(c.var.ctx, c.req.param('id'), versionsMeant(c), await scimBody(c))
    return scimResource(c, userToScim(user, scimBase(c)))
  })
  .delete('/Users/:id', async (c) => {
    await deleteUser(c.var.ctx, c.req.param('id'), versionsMeant(c))
    return c.body(null, 204)
  })
  .get('/Groups', async (c) => {
    const { filter, page } = listAsked(c)
    const { total, items } = await readGroups(c.var.ctx, filter, page, wants(c, 'members'))
    return scimList(
      c,
      page,
      total,
      items.map((group) => groupToScim(group, scimBase(c))),
    )
  })
  .post('/Groups', async (c) =>
    scimResource(c, groupToScim(await createGroup(c.var.ctx, await scimBody(c)), scimBase(c)), 201),
  )
  .get('/Groups/:id', async (c) => {
    const group = await readGroup(c.var.ctx, c.req.param('id'), wants(c, 'members'))
    return scimResource(c, groupToScim(group, scimBase(c)))
  })
  .put('/Groups/:id', async (c) => {
    const group = await replaceGroup(c.var.ctx, c.req.param('id'), versionsMeant(c), await scimBody(c))
    return scimResource(c, groupToScim(group, scimBase(c)))
  })
  .patch('/Groups/:id', async (c) => {
    const group = await patchGroup(c.var.ctx, c.req.param('id'), versionsMeant(c), await scimBody(c))
    return scimResource(c, groupToScim(group, scimBase(c)))
  })
  .delete('/Groups/:id', async (c) => {
    await deleteGroup(c.var.ctx, c.req.param('id'), versionsMeant(c))
    return c.body(null, 204)
  })
