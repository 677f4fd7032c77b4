import { cacheChange, cacheRevocation } from '#src/cache/api-keys.ts'
import {
  endFoundKey,
  getApiKey,
  insertApiKey,
  listApiKeys,
  replaceApiKey,
  revokeApiKeys,
  type ApiKey,
  type FoundKey,
  type KeyFilter,
  type KeysOf,
} from '#src/db/api-keys.ts'
import { apiKeyHint, isApiKey, newApiKey } from '#src/domain/api-key.ts'
import { sha256 } from '#src/domain/digest.ts'
import { newId, type Id, type ProjectId, type UserId } from '#src/domain/id.ts'
import { isPerson, type KeyOwner } from '#src/domain/known-key.ts'
import type { Page, PageRequest } from '#src/domain/page.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import { actorName, can, isPermission, type Permission } from '#src/domain/role.ts'
import { allow, type Context, type Services } from './context.ts'
import { sendMail } from './mail.ts'

export type KeyRequest = {
  name: string
  scopes: readonly Permission[]
  expiresAt?: Date | undefined
  serviceAccountId?: Id<'serviceAccount'> | undefined
  projectId?: ProjectId | undefined
  ipAllow?: readonly string[] | undefined
}

/**
 * Makes a key, of a service account or of whoever asks. Nobody can give a key more than they may do themselves. The key
 * itself is known only to the answer.
 */
export async function createApiKey(ctx: Context, input: KeyRequest): Promise<ApiKey & { key: string }> {
  allow(ctx, 'api-keys:write')
  return makeKey(ctx, input)
}

/** The same for a person's own keys: those can never do more than the person, so nobody needs to allow them. */
export async function createOwnKey(
  ctx: Context,
  input: Omit<KeyRequest, 'serviceAccountId'>,
): Promise<ApiKey & { key: string }> {
  personOf(ctx)
  return makeKey(ctx, input)
}

async function makeKey(ctx: Context, input: KeyRequest): Promise<ApiKey & { key: string }> {
  refuseBeyond(ctx, input.scopes)
  const now = ctx.now()
  if (input.expiresAt && input.expiresAt <= now) throw wrong('expiresAt', 'must be in the future')
  const key = newApiKey()
  const row = {
    id: newId('apiKey', now),
    name: input.name,
    hint: apiKeyHint(key),
    scopes: [...new Set(input.scopes)],
    owner: input.serviceAccountId ?? ownerOf(ctx),
    projectId: input.projectId,
    ipAllow: [...new Set(input.ipAllow)],
    createdBy: actorName(ctx.actor),
  }
  const made = await insertApiKey(ctx.tenantDb, {
    ...row,
    keyHash: await sha256(key),
    createdAt: now,
    expiresAt: input.expiresAt,
  })
  if (!made) throw notFound(input.serviceAccountId ? 'service account or project' : 'project')
  return {
    ...row,
    projectId: row.projectId ?? null,
    createdAt: now.toISOString(),
    expiresAt: input.expiresAt?.toISOString() ?? null,
    lastUsedAt: null,
    lastUsedFrom: null,
    replacedBy: null,
    key,
  }
}

export async function readApiKeys(ctx: Context, filter: KeyFilter, page: PageRequest): Promise<Page<ApiKey>> {
  allow(ctx, 'api-keys:read')
  return listApiKeys(ctx.tenantDb, filter, page)
}

export async function readApiKey(ctx: Context, id: Id<'apiKey'>): Promise<ApiKey> {
  allow(ctx, 'api-keys:read')
  return getApiKey(ctx.tenantDb, id)
}

export const readOwnKeys = async (ctx: Context, page: PageRequest): Promise<Page<ApiKey>> =>
  listApiKeys(ctx.tenantDb, { owner: personOf(ctx) }, page)

/**
 * Revokes the key in the database, then in every isolate at once. Should Redis fail just now, the key is over when its
 * cached copy is: half a minute.
 */
export async function deleteApiKey(ctx: Context, id: Id<'apiKey'>): Promise<void> {
  allow(ctx, 'api-keys:write')
  if ((await endKeys(ctx, { id })) === 0) throw notFound('API key')
}

export async function deleteOwnKey(ctx: Context, id: Id<'apiKey'>): Promise<void> {
  const owner = personOf(ctx)
  const key = await getApiKey(ctx.tenantDb, id)
  if (key.owner !== owner || (await endKeys(ctx, { id })) === 0) throw notFound('API key')
}

/** Ends all keys of a person, of a service account or of the whole tenant, the caller's own included. */
export async function revokeAll(ctx: Context, of: { owner: KeyOwner } | { all: true }): Promise<number> {
  allow(ctx, 'api-keys:write')
  return endKeys(ctx, of)
}

async function endKeys(ctx: Context, of: KeysOf): Promise<number> {
  const hashes = await revokeApiKeys(ctx.tenantDb, of)
  await forget(ctx, hashes)
  return hashes.length
}

/** Makes the key that takes another one's place; the old one is good for `overlapMs` more. */
export async function rotateApiKey(
  ctx: Context,
  id: Id<'apiKey'>,
  overlapMs: number,
): Promise<ApiKey & { key: string }> {
  allow(ctx, 'api-keys:write')
  return rotate(ctx, await getApiKey(ctx.tenantDb, id), overlapMs)
}

export async function rotateOwnKey(
  ctx: Context,
  id: Id<'apiKey'>,
  overlapMs: number,
): Promise<ApiKey & { key: string }> {
  const owner = personOf(ctx)
  const old = await getApiKey(ctx.tenantDb, id)
  if (old.owner !== owner) throw notFound('API key')
  return rotate(ctx, old, overlapMs)
}

async function rotate(ctx: Context, old: ApiKey, overlapMs: number): Promise<ApiKey & { key: string }> {
  // The new text is shown to the caller: with somebody else's key he would act as that person.
  if (isPerson(old.owner) && old.owner !== ownerOf(ctx))
    throw new Problem('forbidden', 'Only the person whose key it is can rotate it; you can revoke it.')
  refuseBeyond(ctx, old.scopes.filter(isPermission))
  const key = newApiKey()
  const now = ctx.now()
  const done = await replaceApiKey(ctx.tenantDb, old.id, {
    id: newId('apiKey', now),
    keyHash: await sha256(key),
    hint: apiKeyHint(key),
    createdBy: actorName(ctx.actor),
    now,
    endsAt: new Date(now.getTime() + overlapMs),
  })
  if (!done) throw new Problem('conflict', 'The key has been rotated already, or is over.')
  await (overlapMs === 0 ? forget(ctx, [done.hash]) : reread(ctx, [done.hash]))
  return { ...done.key, key }
}

/** Has every isolate read the keys anew: their end came nearer, or their owner may do something else now. */
export const reread = (ctx: Context, hashes: readonly string[]): Promise<void> =>
  cacheChange(ctx.services.cache, ...hashes).catch(() => notCached(ctx, hashes))

/** Has every isolate refuse the keys at once. */
export const forget = (ctx: Context, hashes: readonly string[]): Promise<void> =>
  cacheRevocation(ctx.services.cache, ...hashes).catch(() => notCached(ctx, hashes))

const notCached = (ctx: Context, hashes: readonly string[]) =>
  ctx.services.log({ event: 'revocation_not_cached', requestId: ctx.requestId, keys: hashes.length })

/**
 * Ends a key whose text somebody has found, whoever that is: showing it is proof enough. Nothing tells whether there was
 * one; the owners of its tenant are told by mail.
 */
export async function revokeFoundKey(services: Services, text: string): Promise<void> {
  if (!isApiKey(text)) return
  const hash = await sha256(text)
  const found = await endFoundKey(services.database, hash)
  await cacheRevocation(services.cache, hash)
  if (!found) return
  services.log({ event: 'found_key_revoked', tenantId: found.tenantId, keyId: found.keyId })
  await Promise.all(
    found.emails.map((to) =>
      sendMail(services, { to, template: 'security', data: lost(found, services.publicUrl) }),
    ),
  )
}

const lost = ({ name, hint }: FoundKey, link: string) => ({
  subject: 'An API key was found and revoked',
  text: `Somebody showed us the text of the API key "${name}" (${hint}…), so it is no secret any more. It was revoked at once. Look where it may have got out, and what it was used for, before you make another one.`,
  link,
})

function refuseBeyond(ctx: Context, scopes: readonly Permission[]): void {
  const beyond = scopes.filter((scope) => !can(ctx.actor, scope))
  if (beyond.length > 0)
    throw new Problem('forbidden', `You cannot give what you do not have: ${beyond.join(', ')}.`)
}

function personOf({ actor }: Context): UserId {
  if (actor.kind === 'user') return actor.userId
  throw new Problem('forbidden', 'Only somebody who has signed in has keys of their own.')
}

/** Whose the keys are that the caller makes: his own, or those of whom his key is. */
function ownerOf(ctx: Context): KeyOwner {
  const { actor } = ctx
  if (actor.kind === 'api-key' && actor.owner) return actor.owner
  return personOf(ctx)
}

const wrong = (path: string, message: string) =>
  new Problem('invalid', 'Some fields are not valid.', { fields: [{ path, message }] })
