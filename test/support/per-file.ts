import type pg from 'pg'
import { afterAll, inject } from 'vitest'
import type { TenantId } from '#src/domain/id.ts'
import { engineCalls, type EngineCalls } from './engine-calls.ts'
import { endpoint, type Endpoint } from './endpoint.ts'
import { ownDatabase, type OwnDatabase } from './own-database.ts'
import { client, pool } from './own-stack.ts'
import { world, type World } from './world.ts'

// What the tests of a file share: made at the head of the file, ended after its last test, the newest first.

export async function fileWorld(...how: Parameters<typeof world>): Promise<World> {
  const made = await world(...how)
  afterAll(() => made.close())
  return made
}

/** Where no other test's tick looks. */
export const fileWorldOn = ({ url }: OwnDatabase): Promise<World> =>
  fileWorld((services) => services, { ...inject('env'), DATABASE_URL: url })

/** The database's owner, who looks behind the wall. */
export async function fileOwner(url = inject('ownerUrl')): Promise<pg.Client> {
  const made = await client(url)
  afterAll(() => made.end())
  return made
}

/** As the owner, several questions at a time. */
export function filePool(url = inject('ownerUrl')): pg.Pool {
  const made = pool(url)
  afterAll(() => made.end())
  return made
}

export async function fileEndpoint(): Promise<Endpoint> {
  const made = await endpoint()
  afterAll(() => made.close())
  return made
}

export async function fileDatabase(): Promise<OwnDatabase> {
  const made = await ownDatabase()
  afterAll(() => made.leave())
  return made
}

export async function fileCalls({ url }: OwnDatabase, tenantId: TenantId): Promise<EngineCalls> {
  const made = await engineCalls(url, tenantId)
  afterAll(() => made.end())
  return made
}
