import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { neon, neonConfig, Pool } from '@neondatabase/serverless'
import { inject } from 'vitest'
import ws from 'ws'

import { startNeonGateway, type NeonGateway } from '#local/neon-gateway.ts'
import { startPostgres, type Postgres } from '#local/postgres.ts'

export type NeonStack = {
  dir: string
  postgres: Postgres
  gateway: NeonGateway
  /** A connection string with a host that exists nowhere, as the driver would have it from Neon. */
  url: string
  stop(): Promise<void>
}

/** A PostgreSQL and a gateway of their own, and the driver of this test file pointed at them. */
export async function startNeonStack(): Promise<NeonStack> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-neon-'))
  const postgres = await startPostgres({
    dir: join(dir, 'postgres'),
    durability: 'kill',
    seed: inject('postgresSeed'),
  })
  const gateway = await startNeonGateway({ postgres })
  neonConfig.fetchEndpoint = () => `http://${gateway.host}/sql`
  neonConfig.wsProxy = () => `${gateway.host}/v2`
  neonConfig.useSecureWebSocket = false
  neonConfig.webSocketConstructor = ws
  const url = hide(postgres.superuserUrl())
  const stack: NeonStack = {
    dir,
    postgres,
    gateway,
    url,
    async stop() {
      await gateway.stop()
      await stack.postgres.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
  return stack
}

const hide = (url: string) => url.replace(/@[^/]+/, '@ep-quiet-river-1.eu.aws.neon.tech')

export const http = (stack: NeonStack) => neon(stack.url)
export const pool = (stack: NeonStack, max = 4) => new Pool({ connectionString: stack.url, max })

/** The plain HTTP request under the driver. */
export async function post(
  stack: NeonStack,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`http://${stack.gateway.host}/sql`, {
    method: 'POST',
    headers: { 'Neon-Connection-String': stack.url, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}
