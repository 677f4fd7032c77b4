import * as z from 'zod'
import {
  claimDomain,
  deleteDomain,
  moveDomain,
  readDomain,
  readDomains,
  verifyDomain,
} from '#src/actions/sso/domains.ts'
import {
  checkProviderNow,
  createProvider,
  deleteProvider,
  readProvider,
  readProviders,
  requireSso,
  unlink,
  updateProvider,
} from '#src/actions/sso/providers.ts'
import { finishSso, startSso } from '#src/actions/sso/sign-in.ts'
import { ids } from '#src/domain/id.ts'
import { domainName, verificationRecord, type SsoDomain } from '#src/domain/sso.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { clientOf, endSso, readSsoCookie, setSsoCookie } from '#src/http/sso.ts'
import { valid } from '#src/http/valid.ts'
import { changedProvider, newProvider, providerToJson } from './sso-shapes.ts'

const oneProvider = z.object({ id: ids.ssoProvider })
const oneIdentity = z.object({ id: ids.ssoProvider, userId: ids.user })

const newDomain = z.strictObject({
  domain: z.string().trim().min(3).max(253),
  providerId: ids.ssoProvider.nullable().optional(),
})
const domainChange = z.strictObject({ providerId: ids.ssoProvider.nullable() })
const oneDomain = z.object({
  domain: z
    .string()
    .transform((text) => domainName(text) ?? '')
    .pipe(z.string().min(1)),
})

const domainToJson = ({ domain, token, providerId, verifiedAt, createdAt, ...looks }: SsoDomain) => ({
  domain,
  /** The TXT record that proves it. */
  record: { type: 'TXT', name: domain, value: verificationRecord(token) },
  verified: verifiedAt !== null,
  ...(providerId === null ? {} : { providerId }),
  ...(verifiedAt === null ? {} : { verifiedAt: verifiedAt.toISOString() }),
  ...(looks.lookedAt === null ? {} : { lookedAt: looks.lookedAt.toISOString() }),
  ...(looks.missingSince === null ? {} : { missingSince: looks.missingSince.toISOString() }),
  ...(looks.lostAt === null ? {} : { lostAt: looks.lostAt.toISOString() }),
  createdAt: createdAt.toISOString(),
})

const start = z
  .strictObject({
    email: z.email().max(254).optional(),
    providerId: ids.ssoProvider.optional(),
    returnTo: z.string().max(500).optional(),
  })
  .refine((given) => given.email !== undefined || given.providerId !== undefined, {
    error: 'must say email or providerId',
  })

export const ssoRoutes = newRoutes()
  .post('/start', valid('json', start), async (c) => {
    const begun = await startSso(c.var.gate.services, c.req.valid('json'), readSsoCookie(c))
    setSsoCookie(c, begun.browser, begun.lastsMs)
    return c.json({ authorizationUrl: begun.authorizationUrl }, 200)
  })
  .get('/callback', async (c) => {
    const { searchParams } = new URL(c.req.url)
    return endSso(c, await finishSso(c.var.gate.services, searchParams, readSsoCookie(c), clientOf(c)))
  })
  .put('/policy', valid('json', z.strictObject({ requireSso: z.boolean() })), async (c) => {
    const wanted = c.req.valid('json')
    await requireSso(c.var.ctx, wanted.requireSso)
    return c.json(wanted, 200)
  })
  .post('/providers', valid('json', newProvider), async (c) => {
    const made = await createProvider(c.var.ctx, c.req.valid('json'))
    c.header('ETag', etagOf(made.version))
    return created(c, `/v1/sso/providers/${made.id}`, providerToJson(made, c.var.gate.services.publicUrl))
  })
  .get('/providers', valid('query', listQuery({})), async (c) =>
    page(c, await readProviders(c.var.ctx, await pageRequest(c, c.req.valid('query'))), (one) =>
      providerToJson(one, c.var.gate.services.publicUrl),
    ),
  )
  .get('/providers/:id', valid('param', oneProvider), async (c) => {
    const provider = await readProvider(c.var.ctx, c.req.valid('param').id)
    return single(c, providerToJson(provider, c.var.gate.services.publicUrl), etagOf(provider.version))
  })
  .patch('/providers/:id', valid('param', oneProvider), valid('json', changedProvider), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateProvider(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(providerToJson(changed, c.var.gate.services.publicUrl), 200)
  })
  .delete('/providers/:id', valid('param', oneProvider), async (c) => {
    await deleteProvider(c.var.ctx, c.req.valid('param').id, expectedIfSaid(c))
    return c.body(null, 204)
  })
  .post('/providers/:id/check', valid('param', oneProvider), async (c) =>
    c.json(await checkProviderNow(c.var.ctx, c.req.valid('param').id), 200),
  )
  .delete('/providers/:id/identities/:userId', valid('param', oneIdentity), async (c) => {
    const { id, userId } = c.req.valid('param')
    await unlink(c.var.ctx, id, userId)
    return c.body(null, 204)
  })
  .post('/domains', valid('json', newDomain), async (c) => {
    const made = await claimDomain(c.var.ctx, c.req.valid('json'))
    return created(c, `/v1/sso/domains/${made.domain}`, domainToJson(made))
  })
  .get('/domains', valid('query', listQuery({})), async (c) =>
    page(c, await readDomains(c.var.ctx, await pageRequest(c, c.req.valid('query'))), domainToJson),
  )
  .get('/domains/:domain', valid('param', oneDomain), async (c) =>
    c.json(domainToJson(await readDomain(c.var.ctx, c.req.valid('param').domain)), 200),
  )
  .patch('/domains/:domain', valid('param', oneDomain), valid('json', domainChange), async (c) => {
    const { providerId } = c.req.valid('json')
    return c.json(domainToJson(await moveDomain(c.var.ctx, c.req.valid('param').domain, providerId)), 200)
  })
  .delete('/domains/:domain', valid('param', oneDomain), async (c) => {
    await deleteDomain(c.var.ctx, c.req.valid('param').domain)
    return c.body(null, 204)
  })
  .post('/domains/:domain/verify', valid('param', oneDomain), async (c) =>
    c.json(domainToJson(await verifyDomain(c.var.ctx, c.req.valid('param').domain)), 200),
  )
