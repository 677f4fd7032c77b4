import type { Services } from '#src/actions/context.ts'
import type { Database, TenantDb } from '#src/db/database.ts'
import type { Storage } from '#src/storage/storage.ts'

/** How many more calls to the database and the object storage a process makes before it is gone. */
export type Life = { calls: number }

/** How a process fails: what it has asked for is done, and it asks for nothing more. */
export class Gone extends Error {
  override readonly name = 'Gone'
}

/** Services of a process that dies after so many calls: the last one has its effect, and nobody goes on after it. */
export function mortal(services: Services, life: Life): Services {
  async function call<T>(work: () => Promise<T>): Promise<T> {
    if (life.calls <= 0) throw new Gone('the process is gone')
    life.calls--
    return work()
  }
  const tenantDb = (db: TenantDb): TenantDb => ({
    ...db,
    run: (...queries) => call(() => db.run(...queries)),
    call: (text, signal) => call(() => db.call(text, signal)),
    statements: (statements, signal) => call(() => db.statements(statements, signal)),
  })
  const database: Database = {
    ...services.database,
    open: (...queries) => call(() => services.database.open(...queries)),
    tenant: (...of) => tenantDb(services.database.tenant(...of)),
  }
  const real = services.storage
  const storage: Storage = {
    ...real,
    head: (...of) => call(() => real.head(...of)),
    remove: (...of) => call(() => real.remove(...of)),
    list: (...of) => call(() => real.list(...of)),
    signedUpload: (...of) => call(() => real.signedUpload(...of)),
  }
  return { ...services, database, storage }
}
