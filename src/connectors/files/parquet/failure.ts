import { StepFailure } from '#src/domain/failure.ts'

export function badParquet(name: string, why: string, cause?: unknown): StepFailure {
  return new StepFailure('bad_parquet', `The Parquet file "${name}" cannot be read: ${why}.`, { cause })
}
