import { setTimeout as pause } from 'node:timers/promises'
import type { Db } from './judge.ts'

const inWeir = {
  'transactions left open': `select pid::text || ' ' || state as what from pg_stat_activity where state like 'idle in transaction%'`,
  'advisory locks': `select pid::text as what from pg_locks where locktype = 'advisory'`,
  'prepared transactions': `select gid as what from pg_prepared_xacts`,
  leases: `select run_id || ' ' || key as what from steps where lease_until is not null`,
  'runs that are not over': `select id || ' ' || state as what from runs where finished_at is null`,
  'messages in the outbox': `select kind || ' ' || payload::text as what from outbox`,
  'half-built versions': `select id as what from dataset_versions where state = 'building'`,
  'tables of no version': `select relname as what from pg_class c where relnamespace = 'data'::regnamespace and relkind = 'r'
    and not exists (select from dataset_versions v where v.id = c.relname and v.state <> 'dropped')`,
}
const inWarehouse = {
  'stages in the warehouse': `select relname as what from pg_class where relname like '\\_weir\\_%' and relkind = 'r'`,
}

/** What is left on a stage after its last seed, and is still there when everybody has had time to clear it away. */
export async function leaksOf(owner: Db, warehouse: Db, withinMs = 15_000): Promise<string[]> {
  for (const until = Date.now() + withinMs; ; await pause(200)) {
    const found = [...(await look(owner, inWeir)), ...(await look(warehouse, inWarehouse))]
    if (found.length === 0 || Date.now() > until) return found
  }
}

async function look(db: Db, places: Record<string, string>): Promise<string[]> {
  const found: string[] = []
  for (const [name, statement] of Object.entries(places)) {
    const { rows } = await db.query<{ what: string }>(statement)
    for (const { what } of rows) found.push(`${name}: ${what}`)
  }
  return found
}
