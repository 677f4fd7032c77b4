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
import {
  clientAuths,
  domainName,
  ssoRole,
  verificationRecord,
  type SsoDomain,
  type SsoProvider,
} from '#src/domain/sso.ts'
import { newRoutes } from '#src/http/api.ts'
import { etagOf, expectedIfSaid, expectedVersions } from '#src/http/etag.ts'
import { created, listQuery, page, pageRequest, single } from '#src/http/reply.ts'
import { clientOf, endSso, readSsoCookie, setSsoCookie } from '#src/http/sso.ts'
import { valid } from '#src/http/valid.ts'

const name = z.string().trim().min(1).max(100)
const issuer = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine((text) => !/[?#]/.test(text), { error: 'must have no query and no fragment' })
const fields = {
  name,
  issuer,
  clientId: z.string().trim().min(1).max(300),
  clientAuth: z.enum(clientAuths).optional(),
  clientSecret: z.string().min(1).max(2_000).optional(),
  scopes: z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/, 'must be a scope')).max(20),
  groupsClaim: z.string().min(1).max(200).nullable(),
  roleMap: z.array(z.strictObject({ group: z.string().min(1).max(256), role: ssoRole })).max(200),
  defaultRole: ssoRole.nullable(),
  jit: z.boolean(),
}
const newProvider = z.strictObject({
  ...fields,
  scopes: fields.scopes.default([]),
  groupsClaim: fields.groupsClaim.default(null),
  roleMap: fields.roleMap.default([]),
  defaultRole: fields.defaultRole.default(null),
  jit: fields.jit.default(true),
})
const change = z.strictObject(fields).partial()
const oneProvider = z.object({ id: ids.ssoProvider })
const oneIdentity = z.object({ id: ids.ssoProvider, userId: ids.user })

/** The secret is never here: it only goes in. */
const toJson = ({ clientSecret, groupsClaim, defaultRole, version: _, ...provider }: SsoProvider) => ({
  ...provider,
  hasSecret: clientSecret !== null,
  ...(groupsClaim === null ? {} : { groupsClaim }),
  ...(defaultRole === null ? {} : { defaultRole }),
  createdAt: provider.createdAt.toISOString(),
  updatedAt: provider.updatedAt.toISOString(),
})

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

const domainToJson = ({ domain, token, providerId, verifiedAt, createdAt }: SsoDomain) => ({
  domain,
  /** The TXT record that proves it. */
  record: { type: 'TXT', name: domain, value: verificationRecord(token) },
  verified: verifiedAt !== null,
  ...(providerId === null ? {} : { providerId }),
  ...(verifiedAt === null ? {} : { verifiedAt: verifiedAt.toISOString() }),
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
    return created(c, `/v1/sso/providers/${made.id}`, toJson(made))
  })
  .get('/providers', valid('query', listQuery({})), async (c) =>
    page(c, await readProviders(c.var.ctx, await pageRequest(c, c.req.valid('query'))), toJson),
  )
  .get('/providers/:id', valid('param', oneProvider), async (c) => {
    const provider = await readProvider(c.var.ctx, c.req.valid('param').id)
    return single(c, toJson(provider), etagOf(provider.version))
  })
  .patch('/providers/:id', valid('param', oneProvider), valid('json', change), async (c) => {
    const expected = expectedVersions(c)
    const changed = await updateProvider(c.var.ctx, c.req.valid('param').id, expected, c.req.valid('json'))
    c.header('ETag', etagOf(changed.version))
    return c.json(toJson(changed), 200)
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
