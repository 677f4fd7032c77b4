import type { ColumnSpec } from '#src/domain/column.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Reader, ReadOptions } from '../connector.ts'
import type { PostgresConnection } from './config.ts'
import { TupleDecoder } from './decode.ts'
import { keyOf } from './discover.ts'
import { parseTableName, quoteIdentifier, quoteLiteral, quoteTable } from './name.ts'
import { findRelation, type Relation, type RelationColumn } from './relation.ts'
import { PostgresSession, type SessionOptions } from './session.ts'
import { columnSpecOf, readCastOf } from './types.ts'

/**
 * Where a read stands: the text forms of the last row's values in the columns that the rows are ordered by. `nulls`: the
 * rows with a cursor are done, what follows are those without.
 */
type Place = { rows: number; last?: string[]; nulls?: true }

/** One page of a keyed read is one statement: short enough for servers that end long ones, long enough to cost nothing. */
const defaultPageRows = 200_000

/**
 * Reads a table or view.
 *
 * Full: in the order of its key, page by page, each page as the table is at that moment; without a key in one statement,
 * which cannot be resumed.
 *
 * Incremental: rows whose cursor is greater than `after`, in the order of cursor and key, so that rows of one cursor
 * value are told apart; without a key in one statement, which cannot be resumed. A row that appears later with a cursor
 * value already read is not seen: the column must grow with every change. A first read takes rows without a cursor too.
 */
export async function openReader(
  connection: PostgresConnection,
  read: ReadOptions,
  options: SessionOptions & { pageRows?: number } = {},
): Promise<Reader> {
  const name = parseTableName(read.stream)
  const session = await PostgresSession.open(connection, { ...options, signal: read.signal })
  try {
    const relation = await findRelation(session, name)
    if (!relation)
      throw failure(connection, 'unknown_table', `there is no table "${read.stream}" that it may read.`)
    const columns = selected(connection, relation, read)
    const schema = columns.map(columnSpecOf)
    const key = keyOf(relation)
    const source = new Source(session, relation, schema, key, read, options.pageRows ?? defaultPageRows)
    const state = key ? (read.state as Place | undefined) : undefined
    return {
      schema,
      resumable: key !== undefined,
      batches: source.batches(state ?? { rows: 0 }),
      close: () => session.close(),
    }
  } catch (cause) {
    await session.close()
    throw cause
  }
}

type Page = { where: string[]; order: string[]; limit?: number }

class Source {
  private readonly session: PostgresSession
  private readonly relation: Relation
  private readonly schema: readonly ColumnSpec[]
  private readonly key: readonly string[] | undefined
  private readonly read: ReadOptions
  private readonly pageRows: number

  constructor(
    session: PostgresSession,
    relation: Relation,
    schema: readonly ColumnSpec[],
    key: readonly string[] | undefined,
    read: ReadOptions,
    pageRows: number,
  ) {
    this.session = session
    this.relation = relation
    this.schema = schema
    this.key = key
    this.read = read
    this.pageRows = pageRows
  }

  async *batches(from: Place): Reader['batches'] & AsyncGenerator {
    let place = from
    const { cursor } = this.read
    const column = cursor && this.column(cursor.column)
    if (!cursor || !column) {
      yield* this.pages(place, [], this.key ?? [], this.key && this.pageRows)
      return
    }
    const name = quoted(column.name)
    const after = cursor.after === undefined ? [] : [`${name} > ${literal(column, cursor.after)}`]
    if (!place.nulls) {
      const order = this.key ? [column.name, ...this.key.filter((one) => one !== column.name)] : []
      for await (const item of this.pages(place, [`${name} is not null`, ...after], order)) {
        place = item.state
        yield item
      }
    }
    if (cursor.after !== undefined || column.isNotNull) return
    const start: Place = {
      rows: place.rows,
      nulls: true,
      ...(from.nulls && from.last ? { last: from.last } : {}),
    }
    yield* this.pages(start, [`${name} is null`], this.key ?? [])
  }

  /** Rows in the order of `order`, from `place` on: page by page when there is a `limit`, else in one statement. */
  private async *pages(
    place: Place,
    conditions: readonly string[],
    order: readonly string[],
    limit?: number,
  ) {
    let { rows, last } = place
    for (;;) {
      const where = last && order.length > 0 ? [...conditions, this.beyond(order, last)] : [...conditions]
      const decoder = new TupleDecoder(this.schema, order.length, this.refuse)
      const sql = this.statement({ where, order: [...order], ...(limit ? { limit } : {}) })
      let got = 0
      for await (const { batch, place: reached } of this.session.copyOut(sql, decoder)) {
        got += batch.rows
        rows += batch.rows
        last = reached
        const state: Place = {
          rows,
          ...(place.nulls ? { nulls: true } : {}),
          ...(order.length > 0 ? { last } : {}),
        }
        yield { batch, state }
      }
      if (!limit || got < limit) return
    }
  }

  private statement({ where, order, limit }: Page): string {
    const values = this.schema.map(({ name, type }) => `${quoted(name)}::${readCastOf[type]}`)
    const places = order.map((name) => `${quoted(name)}::text`)
    const select = [
      `select ${[...values, ...places].join(', ')} from ${quoteTable(this.relation)} as t`,
      where.length > 0 ? `where ${where.join(' and ')}` : '',
      order.length > 0 ? `order by ${order.map(quoted).join(', ')}` : '',
      limit ? `limit ${limit}` : '',
    ]
    return `copy (${select.filter((part) => part !== '').join(' ')}) to stdout (format binary)`
  }

  private beyond(order: readonly string[], last: readonly string[]): string {
    const values = order.map((name, i) => literal(this.column(name), last[i] ?? ''))
    return `(${order.map(quoted).join(', ')}) > (${values.join(', ')})`
  }

  private column(name: string): RelationColumn {
    const column = this.relation.columns.find((one) => one.name === name)
    if (!column)
      throw failure(this.session.connection, 'unknown_column', `${this.read.stream} has no column "${name}".`)
    return column
  }

  private readonly refuse = (column: string): StepFailure => {
    const words = `column "${column}" of ${this.read.stream} holds infinity or a time too far away to keep.`
    return failure(this.session.connection, 'unsupported_value', words)
  }
}

function selected(connection: PostgresConnection, relation: Relation, read: ReadOptions): RelationColumn[] {
  const known = new Map(relation.columns.map((column) => [column.name, column]))
  const names = read.columns ?? [...known.keys()]
  const missing = [...names, ...(read.cursor ? [read.cursor.column] : [])].filter((name) => !known.has(name))
  if (missing.length > 0) {
    const words = missing.map((name) => `"${name}"`).join(', ')
    throw failure(connection, 'unknown_column', `${read.stream} has no column ${words}.`)
  }
  if (names.length === 0) throw failure(connection, 'no_columns', `${read.stream} has no columns to read.`)
  return names.flatMap((name) => known.get(name) ?? [])
}

/** Always with the table's alias: a bare name would mean the selected text form of the column where both exist. */
const quoted = (name: string): string => `t.${quoteIdentifier(name)}`
const literal = (column: RelationColumn, text: string): string => `${quoteLiteral(text)}::${column.sqlType}`

const failure = (connection: PostgresConnection, code: string, words: string): StepFailure =>
  new StepFailure(code, `Connection "${connection.name}": ${words}`)
