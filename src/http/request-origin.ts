import type { Context } from 'hono'
import type { RequestOrigin } from '#src/domain/audit.ts'
import type { Actor } from '#src/domain/role.ts'
import type { ApiEnv } from './api.ts'

const mostUserAgent = 300

/** What audit entries say of where a request came from. */
export function requestOrigin(c: Context<ApiEnv>, actor?: Actor): RequestOrigin {
  const userAgent = c.req.header('user-agent')
  const credential = actor && credentialOf(actor)
  return {
    requestId: c.get('requestId'),
    ...(c.env?.address === undefined ? {} : { address: c.env.address }),
    // Half a pair of surrogates would not be JSON to PostgreSQL.
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, mostUserAgent).toWellFormed() }),
    ...(credential === undefined ? {} : { credential }),
  }
}

function credentialOf(actor: Actor): string | undefined {
  switch (actor.kind) {
    case 'user':
      return actor.sessionId
    case 'api-key':
      return actor.keyId
    case 'job':
      return undefined
  }
}
