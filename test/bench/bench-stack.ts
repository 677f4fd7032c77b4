import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openApi, type Api } from '#local/demo/api.ts'
import { startStack, type Stack, type StackOptions } from '#local/stack.ts'
import { permissions } from '#src/domain/role.ts'

/** The whole of Weir in a folder of its own, for one benchmark. */
export async function withBenchStack<T>(
  options: StackOptions,
  use: (stack: Stack) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const stack = await startStack({ ...options, dir })
  try {
    return await use(stack)
  } finally {
    await stack.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

export type Caller = { api: Api; keys: string[] }

/** A tenant with some API keys: each of them has a limit of its own. */
export async function caller(stack: Stack, keys = 1): Promise<Caller> {
  const account = {
    email: `${crypto.randomUUID()}@example.com`,
    password: 'a password for the bench',
    tenantName: 'bench',
  }
  const { accessToken } = await openApi(stack.url).post<{ accessToken: string }>('/v1/sign-up', account)
  const owner = openApi(stack.url, accessToken)
  const made: string[] = []
  for (let i = 0; i < keys; i++)
    made.push((await owner.post<{ key: string }>('/v1/api-keys', { name: `k${i}`, scopes: permissions })).key)
  return { api: openApi(stack.url, made[0]), keys: made }
}

export async function savePipeline(
  stack: Stack,
  key: string,
  name: string,
  steps: object[],
): Promise<string> {
  const definition = { apiVersion: 'weir/v1', kind: 'Pipeline', name, steps }
  const response = await fetch(`${stack.url}/v1/pipelines`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(definition),
  })
  if (response.status !== 201) throw new Error(await response.text())
  return ((await response.json()) as { id: string }).id
}

export async function startRun(stack: Stack, key: string, pipelineId: string): Promise<string> {
  const response = await fetch(`${stack.url}/v1/runs`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ pipelineId }),
  })
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`)
  return ((await response.json()) as { id: string }).id
}
