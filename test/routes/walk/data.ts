import { any, route } from './route.ts'

const days = { weekdays: [6], include: [], exclude: [] }

/** Connections and their files, datasets, calendars, channels, integrations. */
export const dataEntries = [
  route('GET', '/v1/connections', 'connections:read'),
  route('POST', '/v1/connections', 'connections:write', { body: { name: 'walked', kind: 'files' } }),
  route('GET', '/v1/connections/:id', 'connections:read'),
  route('PATCH', '/v1/connections/:id', 'connections:write', { headers: any, body: {} }),
  route('DELETE', '/v1/connections/:id', 'connections:write'),
  route('POST', '/v1/connections/:id/check', 'connections:read'),
  route('POST', '/v1/connections/:id/reset', 'connections:write'),
  route('GET', '/v1/connections/:id/streams', 'connections:read'),
  route('GET', '/v1/connections/:id/files', 'connections:read'),
  route('POST', '/v1/connections/:id/files', 'connections:write', { body: { name: 'b.csv', bytes: 1 } }),
  route('GET', '/v1/connections/:id/files/:name', 'connections:read', { at: { name: 'a.csv' } }),
  route('DELETE', '/v1/connections/:id/files/:name', 'connections:write', { at: { name: 'a.csv' } }),
  route('GET', '/v1/datasets', 'datasets:read'),
  route('GET', '/v1/datasets/:id', 'datasets:read'),
  route('GET', '/v1/datasets/:id/preview', 'datasets:read'),
  route('GET', '/v1/calendars', 'pipelines:read'),
  route('POST', '/v1/calendars', 'pipelines:write', { body: { name: 'walked', ...days } }),
  route('GET', '/v1/calendars/:id', 'pipelines:read'),
  route('PATCH', '/v1/calendars/:id', 'pipelines:write', { headers: any, body: { exclude: [] } }),
  route('DELETE', '/v1/calendars/:id', 'pipelines:write'),
  route('GET', '/v1/channels', 'connections:read'),
  route('POST', '/v1/channels', 'connections:write', {
    body: { name: 'walked', kind: 'webhook', config: { url: 'https://hooks.acme.com/x' } },
  }),
  route('GET', '/v1/channels/:id', 'connections:read'),
  route('PATCH', '/v1/channels/:id', 'connections:write', { headers: any, body: { name: 'other' } }),
  route('DELETE', '/v1/channels/:id', 'connections:write'),
  route('POST', '/v1/channels/:id/test', 'connections:write'),
]
