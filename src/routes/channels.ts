import * as z from 'zod'
import {
  createChannel,
  deleteChannel,
  readChannel,
  readChannels,
  testChannel,
  updateChannel,
} from '#src/actions/channels.ts'
import { channelKinds, type Channel } from '#src/domain/channel.ts'
import { ids } from '#src/domain/id.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'

const name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter')
const fields = z.record(z.string(), z.unknown())
const newChannel = z.strictObject({
  name,
  kind: z.enum(channelKinds),
  config: fields.default({}),
  secret: fields.optional(),
})
const change = z.strictObject({ name: name.optional(), config: fields.optional(), secret: fields.optional() })
const oneChannel = z.object({ id: ids.channel })

/** The secret is never here: it only goes in. */
const toJson = (channel: Channel) => ({
  id: channel.id,
  name: channel.name,
  kind: channel.kind,
  config: channel.config,
  ...(channel.failure ? { failure: channel.failure } : {}),
  ...(channel.disabledAt ? { disabledAt: channel.disabledAt.toISOString() } : {}),
  createdAt: channel.createdAt.toISOString(),
  updatedAt: channel.updatedAt.toISOString(),
})

export const channelRoutes = newRoutes()
  .post('/', valid('json', newChannel), async (c) => {
    const { channel, signingSecret } = await createChannel(c.var.ctx, c.req.valid('json'))
    c.header('ETag', etagOf(channel.version))
    return created(c, `/v1/channels/${channel.id}`, {
      ...toJson(channel),
      ...(signingSecret ? { secret: { signingSecret } } : {}),
    })
  })
  .get('/', valid('query', listQuery({})), async (c) =>
    page(c, await readChannels(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/:id', valid('param', oneChannel), async (c) => {
    const channel = await readChannel(c.var.ctx, c.req.valid('param').id)
    return single(c, toJson(channel), etagOf(channel.version))
  })
  .patch('/:id', valid('param', oneChannel), valid('json', change), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateChannel(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(toJson(changed), 200)
  })
  .delete('/:id', valid('param', oneChannel), async (c) => {
    await deleteChannel(c.var.ctx, c.req.valid('param').id, expectedIfSaid(c))
    return c.body(null, 204)
  })
  .post('/:id/test', valid('param', oneChannel), async (c) =>
    c.json(await testChannel(c.var.ctx, c.req.valid('param').id), 200),
  )
