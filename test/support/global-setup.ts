import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startServices } from '#local/services.ts'

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
  project.provide('env', services.env)
  project.provide('ownerUrl', services.ownerUrl)
  project.provide('warehouse', services.warehouse)
  return async () => {
    await services.stop()
    await rm(dir, { recursive: true, force: true })
  }
}
