import {
  deleteSsoDomain,
  getSsoDomain,
  insertSsoDomain,
  listSsoDomains,
  setDomainProvider,
  verifySsoDomain,
} from '#src/db/sso-domains.ts'
import { toHex } from '#src/domain/digest.ts'
import type { Id } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { domainName, verificationRecord, type SsoDomain } from '#src/domain/sso.ts'
import { allow, type Context } from '../context.ts'

/** Claims a domain; nothing follows from it until its DNS says the same. */
export async function claimDomain(
  ctx: Context,
  input: { domain: string; providerId?: Id<'ssoProvider'> | null | undefined },
): Promise<SsoDomain> {
  allow(ctx, 'sso:write')
  const domain = domainName(input.domain)
  if (domain === undefined)
    throw new Problem('invalid', 'Some fields are not valid.', {
      fields: [{ path: 'domain', message: 'must be a public domain such as example.com' }],
    })
  const token = toHex(crypto.getRandomValues(new Uint8Array(16)))
  return insertSsoDomain(ctx.tenantDb, { domain, token, providerId: input.providerId ?? null })
}

export async function readDomain(ctx: Context, domain: string): Promise<SsoDomain> {
  allow(ctx, 'sso:read')
  return getSsoDomain(ctx.tenantDb, domain)
}

export async function readDomains(ctx: Context, page: PageRequest): Promise<Page<SsoDomain>> {
  allow(ctx, 'sso:read')
  const found = await listSsoDomains(ctx.tenantDb, page.after?.[0], page.limit)
  return toPage(found, page.limit, ({ domain }) => [domain])
}

/** Whom the domain's people sign in with; null is the tenant's first provider. */
export async function moveDomain(
  ctx: Context,
  domain: string,
  providerId: Id<'ssoProvider'> | null,
): Promise<SsoDomain> {
  allow(ctx, 'sso:write')
  return setDomainProvider(ctx.tenantDb, domain, providerId)
}

export async function deleteDomain(ctx: Context, domain: string): Promise<void> {
  allow(ctx, 'sso:write')
  await deleteSsoDomain(ctx.tenantDb, domain)
}

/** Looks for the record now. */
export async function verifyDomain(ctx: Context, domain: string): Promise<SsoDomain> {
  allow(ctx, 'sso:write')
  const { token } = await getSsoDomain(ctx.tenantDb, domain)
  const [{ txtRecords }, { outside }] = await Promise.all([
    import('#src/connectors/txt-records.ts'),
    import('../outside.ts'),
  ])
  const records = await outside(txtRecords(ctx.services.env.DOH_URL, domain))
  const wanted = verificationRecord(token)
  if (!records.some((record) => record.trim() === wanted))
    throw new Problem(
      'conflict',
      `${domain} has no TXT record "${wanted}" yet; it may take an hour until a new record is seen everywhere.`,
    )
  return verifySsoDomain(ctx.tenantDb, domain, token)
}
