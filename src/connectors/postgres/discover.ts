import type { Stream } from '../connector.ts'
import { formatTableName } from './name.ts'
import { listRelations, type Relation } from './relation.ts'
import type { PostgresSession } from './session.ts'
import { columnSpecOf } from './types.ts'

/** Every table and view that the connection's user may read, with its columns as Weir sees them. */
export async function discoverStreams(session: PostgresSession): Promise<Stream[]> {
  return (await listRelations(session)).map(streamOf)
}

function streamOf(relation: Relation): Stream {
  const key = keyOf(relation)
  return {
    name: formatTableName(relation),
    columns: relation.columns.map(columnSpecOf),
    ...(key ? { key } : {}),
    ...(relation.rowEstimate === null ? {} : { rowEstimate: Math.round(relation.rowEstimate) }),
  }
}

/** What tells every row apart: the primary key, or else a unique key that cannot be null. */
export function keyOf(relation: Relation): string[] | undefined {
  const isNotNull = (name: string) =>
    relation.columns.some((column) => column.name === name && column.isNotNull)
  return relation.uniqueKeys.find((key) => key.isPrimary || key.columns.every(isNotNull))?.columns
}
