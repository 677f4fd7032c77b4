import { route } from './route.ts'

/** What answers without a credential, and how when it is given nothing. */
export const publicEntries = [
  route('GET', '/v1/health', 'anybody'),
  route('GET', '/v1/schemas/pipeline.json', 'anybody'),
  route('GET', '/.well-known/jwks.json', 'anybody'),
  route('GET', '/problems/:code', 'anybody', { at: { code: 'not_found' } }),
  route('POST', '/v1/callbacks/:token', 'anybody', { at: { token: 'x.y' }, body: {}, bare: 404 }),
  route('POST', '/v1/events/:triggerId', 'anybody', { at: { triggerId: ':trigger' }, body: {}, bare: 401 }),
  route('POST', '/jobs/:job', 'anybody', { at: { job: 'tick' }, body: {}, bare: 401 }),
  route('POST', '/v1/sign-up', 'anybody', { body: {}, bare: 422 }),
  route('POST', '/v1/sessions', 'anybody', { body: {}, bare: 422 }),
  route('POST', '/v1/sessions/refresh', 'anybody', { body: {}, bare: 401 }),
  route('POST', '/v1/api-keys/revoke', 'anybody', { body: {}, bare: 422 }),
  route('POST', '/v1/sso/start', 'anybody', { body: {}, bare: 422 }),
  route('GET', '/v1/sso/callback', 'anybody', { bare: 303 }),
  // The walked provider speaks OpenID Connect, and there is no form in the request.
  route('GET', '/v1/sso/providers/:id/metadata', 'anybody', { bare: 404 }),
  route('POST', '/v1/sso/providers/:id/acs', 'anybody', { bare: 415 }),
  route('POST', '/v1/invitations/look', 'anybody', { body: {}, bare: 422 }),
  route('POST', '/v1/invitations/use', 'anybody', { body: {}, bare: 422 }),
  ...[
    '/v1/sessions/link',
    '/v1/sessions/link/use',
    '/v1/sessions/factor',
    '/v1/sessions/factor/enrol',
    '/v1/sessions/factor/passkey/options',
    '/v1/sessions/factor/totp',
    '/v1/sessions/passkey',
    '/v1/accounts/verify',
    '/v1/accounts/password-reset',
    '/v1/accounts/password-reset/use',
    '/v1/accounts/email/confirm',
    '/v1/accounts/email/undo',
  ].map((path) => route('POST', path, 'anybody', { body: {}, bare: 422 })),
  route('POST', '/v1/sessions/passkey/options', 'anybody'),
]
