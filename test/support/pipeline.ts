import { inject } from 'vitest'
import type { Warehouse } from '#local/prepare-databases.ts'
import type { Tenant } from './world.ts'

export type StepJson = {
  key: string
  kind: string
  state: string
  attempt: number
  rowsIn: number
  rowsOut: number
  rowsRejected: number
  error?: { code: string; message: string }
}
export type RunJson = { id: string; state: string; steps: StepJson[] }

/** What an answer holds; an unexpected status says what came instead. */
export async function json<T>(response: Response, status: number): Promise<T> {
  const text = await response.text()
  if (response.status !== status) throw new Error(`wanted ${status}, got ${response.status}: ${text}`)
  return JSON.parse(text) as T
}

/** Makes a connection of the kind: the run's object storage, or the run's warehouse. */
export async function connect(
  tenant: Tenant,
  kind: 'files' | 'postgres',
  name: string = kind,
  { host, port, database, user, password }: Omit<Warehouse, 'url'> = inject('warehouse'),
): Promise<string> {
  const body =
    kind === 'files'
      ? { name, kind }
      : { name, kind, config: { host, port, database, user, ssl: 'disable' }, secret: { password } }
  return (await json<{ id: string }>(await tenant.fetch('/v1/connections', { method: 'POST', body }), 201)).id
}

export async function upload(
  tenant: Tenant,
  connection: string,
  name: string,
  content: string | Uint8Array,
): Promise<void> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const asked = await tenant.fetch(`/v1/connections/${connection}/files`, {
    method: 'POST',
    body: { name, bytes: bytes.length },
  })
  const { upload: to } = await json<{
    upload: { url: string; method: string; headers: Record<string, string> }
  }>(asked, 201)
  const put = await fetch(to.url, { method: to.method, headers: to.headers, body: Uint8Array.from(bytes) })
  if (!put.ok) throw new Error(`upload: ${put.status} ${await put.text()}`)
}

/** Saves a definition; only what makes it interesting is given. */
export async function pipeline(
  tenant: Tenant,
  rest: string,
  name = `p-${crypto.randomUUID().slice(0, 8)}`,
): Promise<string> {
  const source = `apiVersion: weir/v1\nkind: Pipeline\nname: ${name}\n${rest}`
  const made = await tenant.fetch('/v1/pipelines', {
    method: 'POST',
    headers: { 'Content-Type': 'application/yaml' },
    body: source,
  })
  return (await json<{ id: string }>(made, 201)).id
}

export async function start(
  tenant: Tenant,
  pipelineId: string,
  parameters?: Record<string, unknown>,
): Promise<string> {
  const started = await tenant.fetch('/v1/runs', {
    method: 'POST',
    body: { pipelineId, ...(parameters ? { parameters } : {}) },
  })
  return (await json<{ id: string }>(started, 202)).id
}

export const readRun = async (tenant: Tenant, runId: string): Promise<RunJson> =>
  json<RunJson>(await tenant.fetch(`/v1/runs/${runId}`), 200)

/** Follows a run's events to their end, which is the run's own, and reads it. */
export async function end(tenant: Tenant, runId: string): Promise<RunJson> {
  const over = /^(succeeded|succeeded_with_warnings|failed|cancelled)$/
  for (;;) {
    const stream = await tenant.fetch(`/v1/runs/${runId}/events`)
    if (stream.status !== 200) throw new Error(`events: ${stream.status} ${await stream.text()}`)
    await stream.text()
    const run = await readRun(tenant, runId)
    if (over.test(run.state)) return run
  }
}

export const finished = async (
  tenant: Tenant,
  pipelineId: string,
  parameters?: Record<string, unknown>,
): Promise<RunJson> => end(tenant, await start(tenant, pipelineId, parameters))

export const warehouseTable = (): string => `t_${crypto.randomUUID().replaceAll('-', '').slice(0, 16)}`
