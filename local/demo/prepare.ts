import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { root } from '../build.ts'
import type { Stack } from '../stack.ts'
import { openApi, type Api } from './api.ts'

const files = [
  { name: 'flights-3m.parquet', type: 'application/vnd.apache.parquet' },
  { name: 'airports.csv', type: 'text/csv' },
]
const permissions = [
  'connections:read',
  'connections:write',
  'datasets:read',
  'pipelines:read',
  'pipelines:write',
  'runs:read',
  'runs:write',
]

export type Prepared = { api: Api; pipelineId: string; email: string; password: string }

/** Everything before the run: a tenant, a key for it, files, the warehouse, the pipeline. Only the first call has no key. */
export async function prepare(stack: Stack, say: (line: string) => void): Promise<Prepared> {
  const email = `demo-${Date.now().toString(36)}@example.com`
  const password = randomBytes(9).toString('base64url')
  const { accessToken, tenant } = await openApi(stack.url).post<{
    accessToken: string
    tenant: { id: string }
  }>('/v1/sign-up', { email, password, tenantName: 'Demo' })
  const { key } = await openApi(stack.url, accessToken).post<{ key: string }>('/v1/api-keys', {
    name: 'demo',
    scopes: permissions,
  })
  say(`Signed up tenant ${tenant.id} and made it an API key`)
  const api = openApi(stack.url, key)

  const uploads = await api.post<{ id: string }>('/v1/connections', { name: 'uploads', kind: 'files' })
  for (const file of files) say(await upload(api, uploads.id, file))

  const { host, port, database, user, password: secret } = stack.warehouse
  const warehouse = await api.post<{ id: string }>('/v1/connections', {
    name: 'warehouse',
    kind: 'postgres',
    config: { host, port, database, user, ssl: 'disable' },
    secret: { password: secret },
  })
  const { ok, detail } = await api.post<{ ok: boolean; detail?: string }>(
    `/v1/connections/${warehouse.id}/check`,
    {},
  )
  if (!ok) throw new Error(`The warehouse cannot be reached: ${detail ?? 'no reason given'}`)
  say(`Connected and checked the warehouse${detail ? `: ${detail}` : ''}`)

  const definition = await readFile(join(root, 'examples', 'flight-delays.yaml'), 'utf8')
  const pipeline = await api.postYaml<{ id: string; version: number }>('/v1/pipelines', definition)
  say(`Created the pipeline ${pipeline.id} from examples/flight-delays.yaml`)
  return { api, pipelineId: pipeline.id, email, password }
}

async function upload(api: Api, connectionId: string, file: { name: string; type: string }): Promise<string> {
  const bytes = await readFile(join(root, 'node_modules', 'vega-datasets', 'data', file.name))
  const { upload: to } = await api.post<{
    upload: { url: string; method: string; headers: Record<string, string> }
  }>(`/v1/connections/${connectionId}/files`, {
    name: file.name,
    bytes: bytes.length,
    contentType: file.type,
  })
  const put = await fetch(to.url, { method: to.method, headers: to.headers, body: bytes })
  if (!put.ok) throw new Error(`Object storage refused ${file.name}: ${put.status} ${await put.text()}`)
  return `Uploaded ${file.name}, ${(bytes.length / 1e6).toFixed(1)} MB`
}
