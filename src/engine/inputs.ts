import { versionsFor, type DatasetVersion } from '#src/db/datasets.ts'
import { StepFailure } from '#src/domain/failure.ts'
import type { Work } from './step.ts'

/** The versions of the named datasets that this step reads; a name without one fails the step. */
export async function inputsOf(work: Work, names: readonly string[]): Promise<Map<string, DatasetVersion>> {
  const found = await versionsFor(work.db, work.run.id, names)
  const missing = names.filter((name) => !found.has(name))
  if (missing.length > 0) {
    throw new StepFailure(
      'no_dataset',
      `There is no dataset ${missing.map((name) => `"${name}"`).join(', ')} to read yet.`,
    )
  }
  return found
}

export async function inputOf(work: Work, name: string): Promise<DatasetVersion> {
  const version = (await inputsOf(work, [name])).get(name)
  if (!version) throw new StepFailure('no_dataset', `There is no dataset "${name}" to read yet.`)
  return version
}
