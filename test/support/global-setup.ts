import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startServices } from '#local/services.ts'
import { templateDatabase } from './template-database.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** What the Worker's environment says, but for the address that it is reached at. */
    env: Record<string, string>
    /** Signs in to the server as its owner: for looking behind the wall. */
    ownerUrl: string
    warehouse: { url: string; host: string; port: number; database: string; user: string; password: string }
  }
}

/** One PostgreSQL, Redis, QStash and object storage for the whole run; every test makes its own tenants in it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-test-'))
  const services = await startServices({ dir })
  await makeFast(services.ownerUrl)
  project.provide('env', services.env)
  project.provide('ownerUrl', services.ownerUrl)
  project.provide('warehouse', services.warehouse)
  return async () => {
    await services.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Nothing here outlives the machine, so nothing is written to its disk in haste; and a database is copied, not migrated. */
async function makeFast(ownerUrl: string): Promise<void> {
  const server = new pg.Client({ connectionString: ownerUrl.replace(/\/[^/]*$/, '/postgres') })
  await server.connect()
  for (const name of ['fsync', 'synchronous_commit', 'full_page_writes'])
    await server.query(`alter system set ${name} = off`)
  await server.query('select pg_reload_conf()')
  await server.query(`create database ${templateDatabase} template weir`)
  await server.end()
}
