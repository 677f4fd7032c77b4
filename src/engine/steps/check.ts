import { compileRules } from '#src/db/compile/rules.ts'
import { asQueryRole, creation, publication, tableOf } from '#src/db/datasets.ts'
import { qualityInsert } from '#src/db/quality.ts'
import { newId } from '#src/domain/id.ts'
import { inputOf } from '../inputs.ts'
import { statementTimeoutMs, type StepOutcome, type StepWork } from '../step.ts'

/** One scan measures every rule; only rules that reject write, a new version without the rows that failed them. */
export async function executeCheck(work: StepWork<'check'>): Promise<StepOutcome> {
  const { definition, run, claimed, db, services, signal } = work
  const input = await inputOf(work, definition.dataset)
  const rules = compileRules(definition.rules, input.columns)
  const measure = { text: rules.measure.sql(tableOf(input.id)), params: rules.measure.params }
  const [, measured] = await db.statements(asQueryRole([measure], statementTimeoutMs), signal)
  const results = rules.judge(measured?.rows[0] ?? {})
  const broken = results.filter((result) => !result.passed)
  const evidence = qualityInsert(db.tenantId, run.id, claimed.key, results)
  for (const { onFail, words } of broken) if (onFail !== 'fail') work.log('warn', `${words}.`)

  if (broken.some((result) => result.onFail === 'fail')) {
    const words = broken.filter((result) => result.onFail === 'fail').map((result) => result.words)
    return {
      statements: evidence,
      result: {
        state: 'failed',
        rowsIn: input.rows,
        error: { code: 'quality', message: `${definition.dataset}: ${words.join('; ')}.` },
      },
    }
  }
  const warned = broken.some((result) => result.onFail === 'warn')
  const keep = rules.keep(results)
  if (!keep) {
    return {
      statements: evidence,
      result: { state: 'succeeded', rowsIn: input.rows, rowsOut: input.rows, rowsRejected: 0, warned },
    }
  }
  const version = newId('datasetVersion', services.now())
  const fill = { text: `insert into ${tableOf(version)} ${keep.sql(tableOf(input.id))}`, params: keep.params }
  return {
    statements: [
      ...evidence,
      creation(version, definition.dataset, run.id, claimed.key, input.columns),
      ...asQueryRole([fill], statementTimeoutMs),
      publication(version),
    ],
    result: { state: 'succeeded', rowsIn: input.rows, rejects: true, warned },
  }
}
