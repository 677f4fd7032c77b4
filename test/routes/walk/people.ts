import { permissionsOfRole } from '#src/domain/role.ts'
import { route } from './route.ts'

const newPassword = 'a long and unusual sentence'
const registration = {
  id: 'x',
  rawId: 'x',
  type: 'public-key',
  response: { clientDataJSON: 'x', attestationObject: 'x' },
  clientExtensionResults: {},
}
const key = { name: 'walked', scopes: ['runs:read'] }
/** Nobody gives a key or a robot what they do not have. */
const reads = { also: ['runs:read'] } as const
const views = { also: permissionsOfRole('viewer') }

/** What somebody does with their own account and keys, and what a tenant does with keys. */
export const peopleEntries = [
  route('GET', '/v1/me', 'member'),
  route('GET', '/v1/me/tenants', 'person'),
  route('POST', '/v1/me/tenants', 'person', { body: { name: 'walked' } }),
  route('POST', '/v1/me/leave', 'person'),
  route('POST', '/v1/me/export', 'person'),
  route('DELETE', '/v1/me', 'person'),
  route('GET', '/v1/sessions', 'person'),
  route('DELETE', '/v1/sessions', 'person'),
  route('DELETE', '/v1/sessions/current', 'person'),
  route('DELETE', '/v1/sessions/:id', 'person'),
  route('POST', '/v1/sessions/switch', 'person', { body: { tenantId: ':tenant' } }),
  route('POST', '/v1/accounts/verification', 'person'),
  route('POST', '/v1/accounts/password', 'person', {
    body: { oldPassword: 'not it', password: newPassword },
  }),
  route('POST', '/v1/accounts/email', 'person', { body: { email: 'walked@acme.com', password: 'not it' } }),
  route('GET', '/v1/me/factors', 'person'),
  route('POST', '/v1/me/factors/totp', 'person', { body: {} }),
  route('POST', '/v1/me/factors/totp/confirm', 'person', { body: { code: '000000' } }),
  route('POST', '/v1/me/factors/passkeys/options', 'person'),
  route('POST', '/v1/me/factors/passkeys', 'person', { body: { passkey: registration } }),
  route('POST', '/v1/me/factors/recovery-codes', 'person'),
  route('PATCH', '/v1/me/factors/:id', 'person', { body: { name: 'walked' } }),
  route('DELETE', '/v1/me/factors/:id', 'person'),
  route('POST', '/v1/me/step-up', 'person', { body: { password: 'not it' } }),
  route('POST', '/v1/me/step-up/options', 'person'),
  route('POST', '/v1/me/api-keys', 'person', { ...reads, body: key }),
  route('GET', '/v1/me/api-keys', 'person'),
  route('POST', '/v1/me/api-keys/:id/rotate', 'person', { body: {} }),
  route('DELETE', '/v1/me/api-keys/:id', 'person'),
  route('GET', '/v1/api-keys', 'api-keys:read'),
  route('POST', '/v1/api-keys', 'api-keys:write', { ...reads, body: key }),
  route('GET', '/v1/api-keys/:id', 'api-keys:read'),
  route('DELETE', '/v1/api-keys/:id', 'api-keys:write'),
  route('POST', '/v1/api-keys/:id/rotate', 'api-keys:write', { ...reads, body: {} }),
  route('POST', '/v1/api-keys/revoke-all', 'api-keys:write', { body: { userId: ':user' } }),
  route('GET', '/v1/service-accounts', 'api-keys:read'),
  route('POST', '/v1/service-accounts', 'api-keys:write', {
    ...views,
    body: { name: 'walked', role: 'viewer' },
  }),
  route('GET', '/v1/service-accounts/:id', 'api-keys:read'),
  route('PATCH', '/v1/service-accounts/:id', 'api-keys:write', { body: { name: 'other' } }),
  route('DELETE', '/v1/service-accounts/:id', 'api-keys:write'),
]
