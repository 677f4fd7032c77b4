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
  try {
    const stack = await startStack({ ...options, dir })
    try {
      return await use(stack)
    } finally {
      await stack.stop()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** A tenant with some API keys: each of them has a limit of its own. */
export async function caller(stack: Stack, keys = 1): Promise<{ api: Api; keys: readonly string[] }> {
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

export async function savePipeline(api: Api, steps: readonly object[]): Promise<string> {
  const name = `bench-${crypto.randomUUID()}`
  const saved = await api.post<{ id: string }>('/v1/pipelines', {
    apiVersion: 'weir/v1',
    kind: 'Pipeline',
    name,
    steps,
  })
  return saved.id
}

/** Steps that do nothing, one after the other. */
export const idleSteps = (count: number): object[] => steps(count, () => ({ wait: { for: '0s' } }))

/** Steps that each make a dataset of one row, one after the other. */
export const makingSteps = (count: number): object[] =>
  steps(count, (i) => ({ sql: 'select 1 as n', into: `ones_${i}` }))

const steps = (count: number, what: (i: number) => object): object[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `s${i}`,
    ...what(i),
    ...(i === 0 ? {} : { after: [`s${i - 1}`] }),
  }))
