import {
  deleteIntegration as deleteIntegrationRow,
  getIntegration,
  listIntegrations,
  putIntegration as putIntegrationRow,
  type Integration,
} from '#src/db/integrations.ts'
import { fieldProblems } from '#src/domain/field-problem.ts'
import { integrationShapes, type IntegrationKind } from '#src/domain/integration.ts'
import { Problem } from '#src/domain/problem.ts'
import { allow, type Context } from './context.ts'
import { outside } from './outside.ts'

export async function readIntegrations(ctx: Context): Promise<Integration[]> {
  allow(ctx, 'tenant:read')
  return listIntegrations(ctx.tenantDb)
}

export async function readIntegration(ctx: Context, kind: IntegrationKind): Promise<Integration> {
  allow(ctx, 'tenant:read')
  return getIntegration(ctx.tenantDb, kind)
}

/** Replaces it as a whole, secret and all: a secret is only for the address that it was given for. */
export async function putIntegration(
  ctx: Context,
  kind: IntegrationKind,
  given: unknown,
): Promise<Integration> {
  allow(ctx, 'tenant:write')
  const parsed = integrationShapes[kind].safeParse(given)
  if (!parsed.success)
    throw new Problem('invalid', 'Some fields are not valid.', { fields: fieldProblems(parsed.error.issues) })
  const { address, options, secret } = parsed.data
  const { publicUrl } = await import('#src/connectors/public-url.ts')
  const { services } = ctx
  const url = await outside(
    publicUrl(address, { ownUrl: services.publicUrl, allowPrivate: services.allowPrivateHosts }),
  )
  return putIntegrationRow(ctx.tenantDb, {
    kind,
    address: url.href,
    options,
    secret: await services.secrets.seal(ctx.tenantDb, `integration:${kind}`, JSON.stringify(secret)),
  })
}

export async function deleteIntegration(ctx: Context, kind: IntegrationKind): Promise<void> {
  allow(ctx, 'tenant:write')
  await deleteIntegrationRow(ctx.tenantDb, kind)
}
