import { any, route } from './route.ts'

const stream = { name: 'walked', url: 'https://hooks.acme.com/x', actions: [] }
const inTeam = { at: { userId: ':member' } }
const audits = { also: ['audit:read'] } as const
/** What the role that is made and changed here allows, and what a grant to read a pipeline does. */
const reads = { also: ['runs:read'] } as const
const givesReading = { also: ['pipelines:read', 'runs:read'] } as const

/** Projects, teams, what is allowed to whom, and what was done and used. */
export const accessEntries = [
  route('GET', '/v1/projects', 'projects:read'),
  route('POST', '/v1/projects', 'projects:write', { body: { name: 'walked' } }),
  route('GET', '/v1/projects/:id', 'projects:read'),
  route('PATCH', '/v1/projects/:id', 'projects:write', { body: { name: 'other' } }),
  route('DELETE', '/v1/projects/:id', 'projects:write'),
  route('GET', '/v1/projects/:id/resources', 'projects:read'),
  route('POST', '/v1/projects/:id/resources', 'pipelines:write', {
    also: ['projects:read'],
    body: { kind: 'pipeline', id: ':pipeline' },
  }),
  route('DELETE', '/v1/projects/:id/resources/:kind/:resourceId', 'pipelines:write', {
    at: { kind: 'pipeline', resourceId: ':pipeline' },
  }),
  route('GET', '/v1/roles', 'access:read'),
  route('POST', '/v1/roles', 'access:write', {
    ...reads,
    body: { name: 'walked', permissions: ['runs:read'] },
  }),
  route('GET', '/v1/roles/:id', 'access:read'),
  route('PATCH', '/v1/roles/:id', 'access:write', { ...reads, body: { name: 'other' } }),
  route('DELETE', '/v1/roles/:id', 'access:write', reads),
  route('GET', '/v1/grants', 'access:read'),
  route('POST', '/v1/grants', 'access:write', {
    ...givesReading,
    body: { subject: ':team', resource: ':pipeline', level: 'read' },
  }),
  route('GET', '/v1/grants/:id', 'access:read'),
  route('PATCH', '/v1/grants/:id', 'access:write', { ...givesReading, body: { level: 'read' } }),
  route('DELETE', '/v1/grants/:id', 'access:write'),
  route('GET', '/v1/access/explain', 'access:read', { query: '?permission=runs:read&user=:user' }),
  route('GET', '/v1/me/permissions', 'member'),
  route('GET', '/v1/teams', 'members:read'),
  route('POST', '/v1/teams', 'members:write', { body: { name: 'walked' } }),
  route('GET', '/v1/teams/:id', 'members:read'),
  route('PATCH', '/v1/teams/:id', 'members:write', { body: { name: 'other' } }),
  route('DELETE', '/v1/teams/:id', 'members:write'),
  route('PUT', '/v1/teams/:id/members/:userId', 'members:write', { ...inTeam, also: ['access:write'] }),
  route('DELETE', '/v1/teams/:id/members/:userId', 'members:write', inTeam),
  route('POST', '/v1/members/:id/end-sessions', 'members:write'),
  route('DELETE', '/v1/members/:id/factors', 'members:write'),
  route('GET', '/v1/audit', 'audit:read'),
  route('GET', '/v1/audit/export', 'audit:read'),
  route('GET', '/v1/audit/head', 'audit:read'),
  route('POST', '/v1/audit/verify', 'audit:read', { body: {} }),
  route('GET', '/v1/audit/streams', 'audit:read'),
  route('POST', '/v1/audit/streams', 'connections:write', { ...audits, body: stream }),
  route('GET', '/v1/audit/streams/:id', 'audit:read'),
  route('PATCH', '/v1/audit/streams/:id', 'connections:write', {
    ...audits,
    headers: any,
    body: { name: 'other' },
  }),
  route('DELETE', '/v1/audit/streams/:id', 'connections:write', audits),
  route('GET', '/v1/usage', 'usage:read'),
]
