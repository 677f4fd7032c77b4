import { afterAll, beforeEach } from 'vitest'

import type { ColumnSpec } from '#src/domain/column.ts'
import { openLoad, type Load } from '#src/connectors/postgres/load.ts'
import type { LoadSpec } from '#src/connectors/postgres/plan.ts'
import { inPieces, tuples } from './tuples.ts'
import { here, startWarehouse, type Warehouse } from './warehouse.ts'

export type Rows = Parameters<typeof tuples>[0]

/** A warehouse for the tests of a file, empty before each of them. */
export async function emptyWarehouse(): Promise<Warehouse> {
  const warehouse = await startWarehouse()
  afterAll(() => warehouse.stop())
  beforeEach(() =>
    warehouse.sql('drop schema if exists public cascade; create schema public authorization weir'),
  )
  return warehouse
}

export const columns: ColumnSpec[] = [
  { name: 'id', type: 'bigint', nullable: false },
  { name: 'label', type: 'text', nullable: true },
]
let loads = 0
export const spec = (more: Partial<LoadSpec> = {}): LoadSpec => ({
  loadId: `load_${++loads}`,
  table: 'public.target',
  mode: 'append',
  columns,
  ...more,
})

/** Ways to load into a warehouse and to look at what is there then. */
export function loadsInto(warehouse: Warehouse) {
  const open = (of: LoadSpec): Promise<Load> => openLoad(warehouse.connection, of, here)
  /** As the weir user, so that it owns what it loads into. */
  const sql = (text: string) => warehouse.sql(`set role weir; ${text}`)
  const relations = async () =>
    (
      await sql(
        `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
      )
    ).map(({ relname }) => relname)
  async function loadAll(of: LoadSpec, ...chunks: Rows[]) {
    const load = await open(of)
    try {
      for (const [number, rows] of chunks.entries()) await load.copyChunk(number, inPieces(tuples(rows)))
      return await load.finish()
    } finally {
      await load.close()
    }
  }
  return { open, sql, relations, loadAll }
}
