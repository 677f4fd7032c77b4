import { cacheRevocation } from '#src/cache/api-keys.ts'
import { getApiKey, insertApiKey, listApiKeys, revokeApiKey, type ApiKey } from '#src/db/api-keys.ts'
import { apiKeyHint, newApiKey } from '#src/domain/api-key.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id } from '#src/domain/id.ts'
import type { Page, PageRequest } from '#src/domain/page.ts'
import { Problem } from '#src/domain/problem.ts'
import { actorName, can, type Permission } from '#src/domain/role.ts'
import { allow, type Context } from './context.ts'

/** Makes a key. Nobody can give a key more than they may do themselves. The key itself is known only to the answer. */
export async function createApiKey(
  ctx: Context,
  input: { name: string; scopes: readonly Permission[]; expiresAt?: Date | undefined },
): Promise<ApiKey & { key: string }> {
  allow(ctx, 'api-keys:write')
  const beyond = input.scopes.filter((scope) => !can(ctx.actor, scope))
  if (beyond.length > 0) {
    throw new Problem('forbidden', `You cannot give what you do not have: ${beyond.join(', ')}.`)
  }
  const now = ctx.now()
  if (input.expiresAt && input.expiresAt <= now) {
    throw new Problem('invalid', 'Some fields are not valid.', {
      fields: [{ path: 'expiresAt', message: 'must be in the future' }],
    })
  }
  const key = newApiKey()
  const row = {
    id: newId('apiKey', now),
    name: input.name,
    hint: apiKeyHint(key),
    scopes: [...new Set(input.scopes)],
    createdBy: actorName(ctx.actor),
    createdAt: now,
    expiresAt: input.expiresAt ?? null,
  }
  await insertApiKey(ctx.tenantDb, { ...row, keyHash: await sha256(key) })
  return { ...row, lastUsedAt: null, key }
}

export async function readApiKeys(ctx: Context, page: PageRequest): Promise<Page<ApiKey>> {
  allow(ctx, 'api-keys:read')
  return listApiKeys(ctx.tenantDb, page)
}

export async function readApiKey(ctx: Context, id: Id<'apiKey'>): Promise<ApiKey> {
  allow(ctx, 'api-keys:read')
  return getApiKey(ctx.tenantDb, id)
}

/**
 * Revokes the key in the database, then in every isolate at once. Should Redis fail just now, the key is over when its
 * cached copy is: half a minute.
 */
export async function deleteApiKey(ctx: Context, id: Id<'apiKey'>): Promise<void> {
  allow(ctx, 'api-keys:write')
  const hash = await revokeApiKey(ctx.tenantDb, id)
  await cacheRevocation(ctx.services.cache, hash).catch(() =>
    ctx.services.log({ event: 'revocation_not_cached', requestId: ctx.requestId, keyId: id }),
  )
}
