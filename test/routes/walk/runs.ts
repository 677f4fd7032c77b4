import { any, route } from './route.ts'

const yaml = { 'Content-Type': 'application/yaml', ...any }
const source = 'apiVersion: weir/v1\nkind: Pipeline\nname: other\nsteps: [{ id: one, wait: { for: 1s } }]\n'
const reason = { reason: 'because' }
const step = { at: { step: 'one' } }

/** Pipelines and what runs of them: runs, backfills, alerts, dead letters. */
export const runEntries = [
  route('GET', '/v1/pipelines', 'pipelines:read'),
  route('POST', '/v1/pipelines', 'pipelines:write', { headers: yaml, body: source }),
  route('POST', '/v1/pipelines/check', 'pipelines:read', { headers: yaml, body: source }),
  route('GET', '/v1/pipelines/:id', 'pipelines:read'),
  route('PUT', '/v1/pipelines/:id', 'pipelines:write', { headers: yaml, body: source }),
  route('DELETE', '/v1/pipelines/:id', 'pipelines:write'),
  route('GET', '/v1/pipelines/:id/versions', 'pipelines:read'),
  route('POST', '/v1/pipelines/:id/pause', 'runs:write', { body: {} }),
  route('POST', '/v1/pipelines/:id/resume', 'runs:write'),
  route('GET', '/v1/pipelines/:id/backfills', 'runs:read'),
  route('POST', '/v1/pipelines/:id/backfills', 'runs:write', {
    body: { from: '2026-01-01', to: '2026-01-02', by: 'day' },
  }),
  route('GET', '/v1/pipelines/:id/webhook', 'pipelines:read'),
  route('POST', '/v1/pipelines/:id/webhook', 'pipelines:write'),
  route('GET', '/v1/runs', 'runs:read'),
  route('POST', '/v1/runs', 'runs:write', { body: { pipelineId: ':pipeline' } }),
  route('GET', '/v1/runs/:id', 'runs:read'),
  route('GET', '/v1/runs/:id/quality', 'runs:read'),
  route('GET', '/v1/runs/:id/events', 'runs:read'),
  route('GET', '/v1/runs/:id/logs', 'runs:read'),
  route('POST', '/v1/runs/:id/cancel', 'runs:write'),
  route('PATCH', '/v1/runs/:id', 'runs:write', { body: { priority: 1 } }),
  route('POST', '/v1/runs/:id/rerun', 'runs:write', { body: { from: 'all' } }),
  route('POST', '/v1/runs/:id/mark', 'runs:write', { body: { as: 'failed', ...reason } }),
  route('POST', '/v1/runs/:id/steps/:step/approve', 'runs:write', { ...step, body: {} }),
  route('POST', '/v1/runs/:id/steps/:step/reject', 'runs:write', { ...step, body: {} }),
  route('POST', '/v1/runs/:id/steps/:step/mark', 'runs:write', {
    ...step,
    body: { as: 'failed', ...reason },
  }),
  route('GET', '/v1/runs/:id/steps/:step', 'runs:read', step),
  route('GET', '/v1/runs/:id/steps/:step/items', 'runs:read', step),
  route('GET', '/v1/approvals', 'runs:read'),
  route('GET', '/v1/schedules', 'pipelines:read'),
  route('GET', '/v1/backfills', 'runs:read'),
  route('GET', '/v1/backfills/:id', 'runs:read'),
  route('POST', '/v1/backfills/:id/pause', 'runs:write'),
  route('POST', '/v1/backfills/:id/resume', 'runs:write'),
  route('POST', '/v1/backfills/:id/cancel', 'runs:write'),
  route('GET', '/v1/alerts', 'runs:read'),
  route('POST', '/v1/alerts/:id/resolve', 'runs:write'),
  route('GET', '/v1/dead-letters', 'runs:read'),
  route('GET', '/v1/dead-letters/:id', 'runs:read'),
  route('POST', '/v1/dead-letters/replay', 'runs:write', { body: { filter: {}, ...reason } }),
  route('POST', '/v1/dead-letters/:id/replay', 'runs:write', { body: reason }),
  route('POST', '/v1/dead-letters/:id/dismiss', 'runs:write', { body: reason }),
]
