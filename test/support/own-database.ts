import type pg from 'pg'
import { inject } from 'vitest'
import { client } from './own-stack.ts'
import { templateDatabase } from './template-database.ts'

export type OwnDatabase = { owner: pg.Client; ownerUrl: string; url: string; leave(): Promise<void> }

/** A database of Weir's beside the run's, where no other test's tick looks. */
export async function ownDatabase(): Promise<OwnDatabase> {
  const env = inject('env')
  const name = `weir_${crypto.randomUUID().slice(0, 8)}`
  const ownerUrl = on(inject('ownerUrl'), name)
  const appUrl = on(env['DATABASE_URL'] ?? '', name)
  const server = await client(inject('ownerUrl'))
  try {
    // Copied as files, not page by page through the log: half the work.
    await server.query(`create database ${name} template ${templateDatabase} strategy file_copy`)
  } finally {
    await server.end()
  }
  const owner = await client(ownerUrl)
  return {
    owner,
    ownerUrl,
    url: appUrl,
    async leave() {
      await owner.end()
      const last = await client(inject('ownerUrl'))
      // It goes with the run's whole server: a thousand files that are deleted now make the next thousand slow to create.
      await last.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
      await last.end()
    },
  }
}

function on(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}
