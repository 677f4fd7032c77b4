import { sql, type SQL } from 'drizzle-orm'
import { letterOf, type Resource } from '#src/domain/access.ts'
import type { Permission } from '#src/domain/role.ts'

/** Stops its transaction unless the claim allows this on the resource; see app.demand. */
export const demandOf = (wanted: Permission, { kind, id }: Resource): SQL =>
  sql`select app.demand(${letterOf[wanted]}, ${kind}, ${id}, ${wanted})`
