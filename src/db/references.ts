import { sql } from 'drizzle-orm'
import type { TenantDb } from './database.ts'

/** What a definition names. */
export type References = {
  connections: readonly string[]
  reads: readonly string[]
  writes: readonly string[]
  pipelines: readonly string[]
}

/** Those of them that the caller could not use by hand; see app.beyond. */
export const referencesBeyond = (db: TenantDb, names: References): Promise<References> =>
  db.call(sql`app.beyond(${JSON.stringify(names)}::jsonb)`)
