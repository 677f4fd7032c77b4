import type { Context, Hono, MiddlewareHandler } from 'hono'
import {
  claimKey,
  holdKey,
  releaseKey,
  storeReply,
  type Claim,
  type StoredReply,
} from '#src/db/idempotency.ts'
import { fromBase64Url, sha256, toBase64Url } from '#src/domain/digest.ts'
import { Problem } from '#src/domain/problem.ts'
import { actorName } from '#src/domain/role.ts'
import type { ApiEnv } from './api.ts'
import { readText } from './body.ts'
import { answerOf, lostAnswer } from './lost-answer.ts'

const leaseMs = 60_000
const keptHeaders = ['content-type', 'etag', 'location', 'link']

/**
 * A POST with an Idempotency-Key happens once a day for its tenant and actor: the same request again gets the same
 * answer. Success and what the caller did wrong are kept; what may turn out otherwise next time (401, 403, 429, 5xx) is not.
 * Its effect is marked on the key in the transaction that has it, so whoever dies before the answer is stored leaves a key
 * under which nothing happens again. See docs/operations/idempotency.md.
 */
export function idempotency(app: Hono<ApiEnv>): MiddlewareHandler<ApiEnv> {
  return async function idempotency(c, next) {
    const header = c.req.method === 'POST' ? c.req.header('idempotency-key') : undefined
    const ctx = c.get('ctx')
    if (header === undefined || ctx === undefined) return next()
    const claim: Claim = {
      actor: actorName(ctx.actor),
      key: parseKey(header),
      fingerprint: await fingerprint(c),
      lockedUntil: new Date(ctx.now().getTime() + leaseMs),
    }
    const outcome = await claimKey(ctx.tenantDb, claim)
    switch (outcome.kind) {
      case 'mine': {
        const { database, letGo } = holdKey(ctx.services.database, ctx.tenantDb, claim)
        c.set('ctx', { ...ctx, services: { ...ctx.services, database } })
        await next()
        letGo()
        await keep(c, claim)
        return undefined
      }
      case 'running':
        throw new Problem('conflict', 'The first request with this Idempotency-Key is still running.', {
          retryAfterMs: Math.max(outcome.lockedUntil.getTime() - ctx.now().getTime(), 1_000),
        })
      case 'other-request':
        throw new Problem('invalid', 'This Idempotency-Key was used for another request.')
      case 'done':
        return replay(
          outcome.reply,
          outcome.reply.body === null ? '' : await unseal(c, claim, outcome.reply.body),
        )
      case 'unanswered': {
        const reply = answerOf(c.req.path, outcome.made)
        if (!reply) throw lostAnswer(app, c.req.path)
        return replay(reply, reply.body ?? '')
      }
    }
  }
}

/** A structured-field string in its quotes, or the bare token that many clients send. */
function parseKey(header: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header.trim())
  const key = quoted?.[1]?.replaceAll(/\\(["\\])/g, '$1') ?? header.trim()
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Problem('malformed', 'Idempotency-Key must be 1 to 255 visible ASCII characters.')
  }
  return key
}

/** What makes two requests the same: everything that the handler can see. */
async function fingerprint(c: Context<ApiEnv>): Promise<string> {
  const query = new URL(c.req.url).searchParams
  query.sort()
  const parts = [c.req.method, c.req.path, query.toString(), c.req.header('content-type') ?? '']
  return sha256(`${parts.join('\n')}\n\n${await readText(c.req)}`)
}

const isRefusal = (status: number) => status === 401 || status === 403 || status === 429

async function keep(c: Context<ApiEnv>, claim: Claim): Promise<void> {
  const { tenantDb } = c.get('ctx')
  const { status } = c.res
  // What a refusal has written, such as a wrong password that was counted, is no effect of the request.
  if (status >= 500 || isRefusal(status)) return releaseKey(tenantDb, claim, { ofRefused: isRefusal(status) })
  const headers: Record<string, string> = {}
  for (const name of keptHeaders) {
    const value = c.res.headers.get(name)
    if (value !== null) headers[name] = value
  }
  const body = await seal(c, claim, await c.res.clone().text())
  await storeReply(tenantDb, claim, { status, headers, body })
}

function replay({ status, headers }: StoredReply, body: string): Response {
  return new Response(body === '' ? null : body, {
    status,
    headers: { ...headers, 'Idempotency-Replayed': 'true' },
  })
}

const boundTo = (c: Context<ApiEnv>, { actor, key }: Claim) =>
  new TextEncoder().encode(`${c.get('ctx').tenantId}\n${actor}\n${key}`)

/** An answer may hold what is shown only once, such as a new API key, so the database gets it sealed. */
async function seal(c: Context<ApiEnv>, claim: Claim, body: string): Promise<string> {
  const [key] = await c.get('gate').replyKeys()
  if (!key) throw new Error('There is no key to seal replies with.')
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const algorithm = { name: 'AES-GCM', iv, additionalData: boundTo(c, claim) }
  const sealed = await crypto.subtle.encrypt(algorithm, key, new TextEncoder().encode(body))
  return `${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`
}

async function unseal(c: Context<ApiEnv>, claim: Claim, text: string): Promise<string> {
  const [iv, sealed] = text.split('.').map(fromBase64Url)
  for (const key of await c.get('gate').replyKeys()) {
    try {
      const algorithm = { name: 'AES-GCM', iv: iv ?? new Uint8Array(12), additionalData: boundTo(c, claim) }
      const opened = await crypto.subtle.decrypt(algorithm, key, sealed ?? new Uint8Array(0))
      return new TextDecoder().decode(opened)
    } catch {
      continue // the other master key may be the one that sealed it
    }
  }
  throw new Problem('conflict', 'This request was carried out, and its answer can no longer be read.')
}
