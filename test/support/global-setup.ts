import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { makeSeed } from '#local/postgres.ts'
import { startServices } from '#local/services.ts'
import { templateDatabase } from './template-database.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** What the Worker's environment says, but for the address that it is reached at. */
    env: Record<string, string>
    /** Whether nothing is left out. */
    isLongForm: boolean
    /** Signs in to the server as its owner: for looking behind the wall. */
    ownerUrl: string
    /** For servers that a test starts for itself. */
    postgresSeed: string
    /** Where the metered QuickJS is once somebody has needed it. */
    quickjsPath: string
    warehouse: { url: string; host: string; port: number; database: string; user: string; password: string }
  }
}

/** One PostgreSQL, Redis, QStash and object storage for the whole run; every test makes its own tenants in it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-test-'))
  const seed = join(dir, 'seed')
  await makeSeed(seed)
  const services = await startServices({ dir, durability: 'nothing', seed })
  await keepTemplate(services.ownerUrl)
  project.provide('env', services.env)
  project.provide('ownerUrl', services.ownerUrl)
  project.provide('postgresSeed', seed)
  project.provide('quickjsPath', join(dir, 'quickjs.wasm'))
  project.provide('warehouse', services.warehouse)
  return async () => {
    await services.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

/** A database for one file of tests is copied, not migrated. */
async function keepTemplate(ownerUrl: string): Promise<void> {
  const server = new pg.Client({ connectionString: ownerUrl.replace(/\/[^/]*$/, '/postgres') })
  await server.connect()
  await server.query(`create database ${templateDatabase} template weir`)
  await server.end()
}
