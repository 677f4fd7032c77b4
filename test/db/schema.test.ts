import { getTableColumns, is } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import { expect, inject, it } from 'vitest'
import * as schema from '#src/db/schema.ts'
import { pool } from '#test/support/own-stack.ts'

const tables: PgTable[] = Object.values(schema).filter((value) => is(value, PgTable))

it.each(tables.map((table) => [getTableConfig(table).name, table] as const))(
  'the columns of %s are those that the migrations make',
  async (name, table) => {
    const owner = pool(inject('ownerUrl'))
    const { rows } = await owner.query<{ name: string; type: string; required: boolean; given: boolean }>(
      `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
         a.atthasdef or a.attidentity <> '' as given
       from pg_attribute a where a.attrelid = ('public.' || $1)::regclass and a.attnum > 0 and not a.attisdropped`,
      [name],
    )
    await owner.end()
    const made = new Map(rows.map((column) => [column.name, column]))
    for (const column of Object.values(getTableColumns(table))) {
      const { notNull: required } = column
      expect.soft(made.get(column.name), column.name).toMatchObject({ type: column.getSQLType(), required })
      if (column.hasDefault) expect.soft(made.get(column.name), column.name).toMatchObject({ given: true })
    }
    // An insert that is typed leaves nothing out that the database wants.
    const typed = new Set(Object.values(getTableColumns(table)).map((column) => column.name))
    const missing = rows.filter((column) => column.required && !column.given && !typed.has(column.name))
    expect(missing).toEqual([])
  },
)
