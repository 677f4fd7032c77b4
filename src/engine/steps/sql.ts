import {
  asQueryRole,
  carryOver,
  creation,
  publication,
  tableOf,
  type DatasetVersion,
} from '#src/db/datasets.ts'
import { columnsOfFields } from '#src/db/columns.ts'
import { quoteIdent } from '#src/db/compile/quote.ts'
import type { Statement } from '#src/db/statement.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { newId } from '#src/domain/id.ts'
import { valuesOf } from '#src/lineage/sql.ts'
import { inputsOf } from '../inputs.ts'
import { statementTimeoutMs, type StepOutcome, type StepWork } from '../step.ts'

/**
 * The tenant's SELECT over its datasets, parsed when the pipeline was saved and parsed again here, run as a role that can
 * read and fill dataset tables and do nothing else.
 */
export async function executeSql(work: StepWork<'sql'>): Promise<StepOutcome> {
  const { definition, run, claimed, db, services, signal } = work
  const checked = await services.parser.checkSelect(definition.sql, run.definition.parameters)
  if (!checked.ok) {
    throw new StepFailure('sql_refused', checked.fields.map((field) => field.message).join(' '))
  }
  const inputs = await inputsOf(work, checked.tables)
  const select = over(inputs, checked.text)
  const params = valuesOf(checked, run.parameters)
  const described: Statement = { text: `select * from (${select}) described limit 0`, params }
  const [, description] = await db.statements(asQueryRole([described], statementTimeoutMs), signal)
  const made = columnsOfFields(description?.fields ?? [])
  const version = newId('datasetVersion', services.now())
  const names = made.map(({ column }) => quoteIdent(column.name)).join(', ')
  const values = made.map(({ column, cast }) => `${quoteIdent(column.name)}${cast}`).join(', ')
  const fill = {
    text: `insert into ${tableOf(version)} (${names}) select ${values} from (${select}) made`,
    params,
  }
  return {
    statements: [
      creation(
        version,
        definition.into,
        run.id,
        claimed.key,
        made.map(({ column }) => column),
      ),
      ...(definition.write === 'append'
        ? carryOver(
            version,
            made.map(({ column }) => column.name),
            statementTimeoutMs,
          )
        : []),
      ...asQueryRole([fill], statementTimeoutMs),
      publication(version),
    ],
    result: { state: 'succeeded', rowsIn: [...inputs.values()].reduce((sum, input) => sum + input.rows, 0) },
  }
}

/** Each dataset's name stands for its version's table; what the text itself names WITH shadows it, as SQL has it. */
function over(inputs: ReadonlyMap<string, DatasetVersion>, text: string): string {
  const tables = [...inputs].map(
    ([name, version]) => `${quoteIdent(name)} as not materialized (select * from ${tableOf(version.id)})`,
  )
  return `${tables.length > 0 ? `with ${tables.join(', ')} ` : ''}select * from (${text}\n) asked`
}
