import { compileTransform } from '#src/db/compile/transform.ts'
import { asQueryRole, creation, publication, tableOf } from '#src/db/datasets.ts'
import { newId } from '#src/domain/id.ts'
import { inputOf } from '../inputs.ts'
import { statementTimeoutMs, type StepOutcome, type StepWork } from '../step.ts'

/** One INSERT … SELECT in the database; no row comes here. */
export async function executeTransform(work: StepWork<'transform'>): Promise<StepOutcome> {
  const { definition, run, claimed, services, db, signal } = work
  const input = await inputOf(work, definition.from)
  const compiled = compileTransform(definition.transform, input.columns, run.parameters)
  const version = newId('datasetVersion', services.now())
  const fill = {
    text: `insert into ${tableOf(version)} ${compiled.sql(tableOf(input.id))}`,
    params: compiled.params,
  }
  return {
    statements: [
      creation(version, definition.into, run.id, claimed.key, compiled.columns),
      ...asQueryRole([fill], statementTimeoutMs),
      publication(version),
    ],
    result: { state: 'succeeded', rowsIn: input.rows },
    async explain() {
      for (const fault of compiled.faults) {
        const asked = { text: fault.sql(tableOf(input.id)), params: fault.params }
        const [, found] = await db.statements(asQueryRole([asked], statementTimeoutMs), signal)
        const failure = fault.judge(found?.rows[0] ?? {})
        if (failure) return failure
      }
      return undefined
    },
  }
}
