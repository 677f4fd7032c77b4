import type { TableName } from './name.ts'
import type { PostgresSession } from './session.ts'

/** A table, view or the like, as the server's catalogue describes it. */
export type Relation = TableName & {
  oid: number
  kind: RelationKind
  isUnlogged: boolean
  rowEstimate: number | null
  columns: RelationColumn[]
  /** The column names of each plain unique index, the primary key first. */
  uniqueKeys: { columns: string[]; isPrimary: boolean }[]
}
type RelationKind = 'table' | 'partitioned' | 'view' | 'materialized' | 'foreign'

export type RelationColumn = {
  name: string
  /** As SQL writes it, with length or precision, and qualified where it must be. */
  sqlType: string
  /** The built-in type's own name (`int4`, `varchar`), a domain's base type; null when it is not built in. */
  builtin: string | null
  isNotNull: boolean
  hasDefault: boolean
  /** Nobody may write it: a generated column, or an identity column that is always generated. */
  isGenerated: boolean
}

const kinds = `case c.relkind when 'r' then 'table' when 'p' then 'partitioned' when 'v' then 'view'
  when 'm' then 'materialized' when 'f' then 'foreign' end`

const selectRelations = `
  select c.oid::int8::float8 as oid, n.nspname as schema, c.relname as "table", ${kinds} as kind,
    c.relpersistence = 'u' as "isUnlogged",
    case when c.reltuples >= 0 and c.relkind <> 'v' then c.reltuples::float8 end as "rowEstimate",
    coalesce((
      select json_agg(json_build_object(
        'name', a.attname,
        'sqlType', format_type(a.atttypid, a.atttypmod),
        'builtin', (select b.typname from pg_catalog.pg_type b
          where b.oid = case t.typtype when 'd' then t.typbasetype else t.oid end
          and b.typnamespace = 'pg_catalog'::regnamespace and b.typtype = 'b' and b.typelem = 0),
        'isNotNull', a.attnotnull,
        'hasDefault', a.atthasdef or a.attidentity <> '',
        'isGenerated', a.attgenerated <> '' or a.attidentity = 'a'
      ) order by a.attnum)
      from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ), '[]'::json) as columns,
    coalesce((
      select json_agg(json_build_object('isPrimary', i.indisprimary, 'columns', (
        select json_agg(a.attname order by k.place)
        from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
        where k.place <= i.indnkeyatts
      )) order by i.indisprimary desc, i.indexrelid)
      from pg_catalog.pg_index i
      where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and i.indimmediate
    ), '[]'::json) as "uniqueKeys"
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace`

/** Undefined when there is no such relation that holds rows. */
export async function findRelation(session: PostgresSession, name: TableName): Promise<Relation | undefined> {
  const rows = await session.query(
    `${selectRelations} where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')`,
    [name.schema, name.table],
  )
  return asRelations(rows)[0]
}

/** All that the user may read, but the server's own. A partition is read through its table. */
export async function listRelations(session: PostgresSession): Promise<Relation[]> {
  const rows = await session.query(
    `${selectRelations}
     where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
       and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and c.relname !~ '^_weir_'
       and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
     order by n.nspname, c.relname`,
  )
  return asRelations(rows)
}

export async function schemaExists(session: PostgresSession, schema: string): Promise<boolean> {
  const rows = await session.query(`select 1 from pg_catalog.pg_namespace where nspname = $1`, [schema])
  return rows.length > 0
}

/** The statement's own column list guarantees the shape. */
const asRelations = (rows: unknown[]): Relation[] => rows as Relation[]
