import { permissionsOfRole } from '#src/domain/role.ts'
import { any, route } from './route.ts'

const issuer = 'https://login.acme.com'
const provider = { name: 'walked', issuer, clientId: 'walked', jit: false }
const scim = { 'Content-Type': 'application/scim+json' }
const byKey = { by: 'key' } as const
const oneUser = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'walked@acme.com' }
const oneGroup = { schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'], displayName: 'walked by SCIM' }
const patch = {
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations: [{ op: 'replace', path: 'displayName', value: 'x' }],
}
const member = { at: { id: ':member' } }
const group = { at: { id: ':team' } }
const byPerson = { by: 'person' } as const
/** Nobody makes or changes somebody who may do more than they. */
const views = { also: permissionsOfRole('viewer') }

/** The tenant itself, its members, and how they come in. */
export const tenantEntries = [
  route('GET', '/v1/tenant', 'tenant:read'),
  route('PATCH', '/v1/tenant', 'tenant:write', { headers: any, body: { name: 'walked' } }),
  route('DELETE', '/v1/tenant', 'tenant:write', { ...byPerson, body: { name: 'not its name' } }),
  route('POST', '/v1/tenant/restore', 'tenant:write', byPerson),
  route('POST', '/v1/tenant/suspend', 'tenant:write', { ...byPerson, body: { reason: 'walked' } }),
  route('POST', '/v1/tenant/resume', 'tenant:write', byPerson),
  route('POST', '/v1/tenant/transfer', 'tenant:write', { ...byPerson, body: { userId: ':member' } }),
  route('GET', '/v1/members', 'members:read'),
  route('GET', '/v1/members/former', 'members:read'),
  route('POST', '/v1/members/former/:id/anonymise', 'privacy:write'),
  route('GET', '/v1/members/:id', 'members:read'),
  route('PATCH', '/v1/members/:id', 'members:write', { ...views, body: { role: 'viewer' } }),
  route('DELETE', '/v1/members/:id', 'members:write', views),
  route('POST', '/v1/invitations', 'members:write', {
    ...views,
    ...byPerson,
    body: { email: 'walked@acme.com', role: 'viewer' },
  }),
  route('GET', '/v1/invitations', 'members:read'),
  route('GET', '/v1/invitations/:id', 'members:read'),
  route('POST', '/v1/invitations/:id/resend', 'members:write', { ...views, ...byPerson }),
  route('DELETE', '/v1/invitations/:id', 'members:write'),
  route('GET', '/v1/tenant/integrations', 'tenant:read'),
  route('GET', '/v1/tenant/integrations/:kind', 'tenant:read', { at: { kind: 'vault' }, lone: 404 }),
  route('PUT', '/v1/tenant/integrations/:kind', 'tenant:write', { at: { kind: 'vault' }, body: {} }),
  route('DELETE', '/v1/tenant/integrations/:kind', 'tenant:write', { at: { kind: 'vault' } }),
  route('PUT', '/v1/sso/policy', 'sso:write', { body: { requireSso: false } }),
  route('POST', '/v1/sso/providers', 'sso:write', { body: provider }),
  route('GET', '/v1/sso/providers', 'sso:read'),
  route('GET', '/v1/sso/providers/:id', 'sso:read'),
  route('PATCH', '/v1/sso/providers/:id', 'sso:write', { headers: any, body: { name: 'other' } }),
  route('DELETE', '/v1/sso/providers/:id', 'sso:write'),
  route('POST', '/v1/sso/providers/:id/check', 'sso:write'),
  route('DELETE', '/v1/sso/providers/:id/identities/:userId', 'sso:write', { at: { userId: ':user' } }),
  route('POST', '/v1/sso/domains', 'sso:write', { body: { domain: 'walked.acme.com' } }),
  route('GET', '/v1/sso/domains', 'sso:read'),
  route('GET', '/v1/sso/domains/:domain', 'sso:read', { at: { domain: ':domain' } }),
  route('PATCH', '/v1/sso/domains/:domain', 'sso:write', {
    at: { domain: ':domain' },
    body: { providerId: null },
  }),
  route('DELETE', '/v1/sso/domains/:domain', 'sso:write', { at: { domain: ':domain' } }),
  route('POST', '/v1/sso/domains/:domain/verify', 'sso:write', { at: { domain: ':domain' } }),
  route('GET', '/scim/v2/ServiceProviderConfig', 'scim:write', byKey),
  route('GET', '/scim/v2/ResourceTypes', 'scim:write', byKey),
  route('GET', '/scim/v2/ResourceTypes/:name', 'scim:write', { ...byKey, at: { name: 'User' } }),
  route('GET', '/scim/v2/Schemas', 'scim:write', byKey),
  route('GET', '/scim/v2/Schemas/:id', 'scim:write', { ...byKey, at: { id: oneUser.schemas[0] ?? '' } }),
  route('GET', '/scim/v2/Users', 'scim:write', byKey),
  route('POST', '/scim/v2/Users', 'scim:write', { ...byKey, headers: scim, body: oneUser }),
  route('GET', '/scim/v2/Users/:id', 'scim:write', { ...byKey, ...member }),
  route('PUT', '/scim/v2/Users/:id', 'scim:write', { ...byKey, ...member, headers: scim, body: oneUser }),
  route('PATCH', '/scim/v2/Users/:id', 'scim:write', { ...byKey, ...member, headers: scim, body: patch }),
  route('DELETE', '/scim/v2/Users/:id', 'scim:write', { ...byKey, ...member }),
  route('GET', '/scim/v2/Groups', 'scim:write', byKey),
  route('POST', '/scim/v2/Groups', 'scim:write', { ...byKey, headers: scim, body: oneGroup }),
  route('GET', '/scim/v2/Groups/:id', 'scim:write', { ...byKey, ...group }),
  route('PUT', '/scim/v2/Groups/:id', 'scim:write', { ...byKey, ...group, headers: scim, body: oneGroup }),
  route('PATCH', '/scim/v2/Groups/:id', 'scim:write', { ...byKey, ...group, headers: scim, body: patch }),
  route('DELETE', '/scim/v2/Groups/:id', 'scim:write', { ...byKey, ...group }),
]
