import type { StepOutcome, StepWork } from '../step.ts'

/** Asked for the first time it says how long; asked again, the time has passed. Waiting holds no Worker. */
export async function executeWait({ definition, claimed }: StepWork<'wait'>): Promise<StepOutcome> {
  if (definition.forMs === 0 || claimed.cursor?.['waited'] === true)
    return { result: { state: 'succeeded', rowsOut: 0 } }
  return { result: { state: 'waiting', delayMs: definition.forMs, cursor: { waited: true } } }
}
