import { askOnce, firstObjectSince } from '#src/connectors/connectors.ts'
import { asQueryRole, tableOf, type DatasetVersion } from '#src/db/datasets.ts'
import { quoteIdent } from '#src/db/compile/quote.ts'
import { freshRun, freshVersion } from '#src/db/sensors.ts'
import { StepFailure } from '#src/domain/failure.ts'
import { madeAt } from '#src/domain/id.ts'
import type { Json } from '#src/domain/json.ts'
import type { Sensor } from '#src/domain/step.ts'
import { resolveText } from '#src/domain/template.ts'
import { valuesOf } from '#src/lineage/sql.ts'
import { connectionNamed } from './connection.ts'
import { inputsOf } from './inputs.ts'
import { namesOf } from './names.ts'
import type { Work } from './step.ts'

const lookTimeoutMs = 60_000

/** Looks once: what has come, or undefined while nothing has. */
export async function look(work: Work, sensor: Sensor): Promise<Record<string, Json> | undefined> {
  const { db, run } = work
  switch (sensor.sensor) {
    case 'object': {
      const connection = await connectionNamed(work, sensor.connection)
      const prefix = resolveText(sensor.prefix, namesOf(work))
      // Object storages tell times in whole seconds.
      const since = new Date(Math.floor(madeAt(run.id).getTime() / 1_000) * 1_000)
      const found = await firstObjectSince(connection, prefix, since)
      return found && { key: found.name, bytes: found.bytes, changedAt: found.changedAt.toISOString() }
    }
    case 'sql': {
      const row = await (sensor.connection === undefined
        ? askDatasets(work, sensor.sql)
        : askOnce(await connectionNamed(work, sensor.connection), sensor.sql))
      const [first] = Object.values(row ?? {})
      return isTrue(first) ? { value: typeof first === 'string' ? first : JSON.stringify(first) } : undefined
    }
    case 'dataset':
      return freshVersion(db, sensor.dataset, sensor.withinMs)
    case 'run':
      return freshRun(db, sensor.pipeline, sensor.withinMs)
  }
}

/** What SQL would call true, in the text forms too; zero, the empty text and NULL are not. */
const isTrue = (value: unknown): boolean =>
  typeof value === 'string' ? !/^(|f|false|[-+]?0+(\.0*)?)$/i.test(value) : Boolean(value)

async function askDatasets(work: Work, sql: string): Promise<Record<string, unknown> | undefined> {
  const { db, run, services, signal } = work
  const checked = await services.parser.checkSelect(sql, run.definition.parameters)
  if (!checked.ok)
    throw new StepFailure('sql_refused', checked.fields.map((field) => field.message).join(' '))
  const inputs = await inputsOf(work, checked.tables).catch((error: unknown) => {
    // A dataset that nobody has made yet is what one waits for.
    if (error instanceof StepFailure && error.code === 'no_dataset') return undefined
    throw error
  })
  if (!inputs) return undefined
  const text = `${over(inputs)} select * from (${checked.text}\n) asked limit 1`
  const statement = { text, params: valuesOf(checked, run.parameters) }
  const [, result] = await db.statements(asQueryRole([statement], lookTimeoutMs), signal)
  return result?.rows[0]
}

function over(inputs: ReadonlyMap<string, DatasetVersion>): string {
  const tables = [...inputs].map(
    ([name, version]) => `${quoteIdent(name)} as not materialized (select * from ${tableOf(version.id)})`,
  )
  return tables.length > 0 ? `with ${tables.join(', ')}` : ''
}
