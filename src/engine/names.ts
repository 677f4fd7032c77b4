import type { Scope } from '#src/domain/template.ts'
import type { Work } from './step.ts'

/** The parameters of the run, the outputs of earlier steps, the run itself, and in a map each item by the name it is given. */
export const namesOf = ({
  run,
  claimed,
  items = [],
  innerOutputs,
}: Pick<Work, 'run' | 'claimed' | 'items' | 'innerOutputs'>): Scope => ({
  params: run.parameters,
  outputs: { ...claimed.outputs, ...innerOutputs },
  run: { id: run.id, scheduledFor: run.scheduledFor, trigger: run.trigger },
  ...Object.fromEntries(items.map(({ as, value }) => [as, value])),
})

/** Names what a step does in one claim, so that done twice it is known to be the same. */
export const markOf = ({
  run,
  claimed: { key, mapIndex, fence },
  definition,
}: Pick<Work, 'run' | 'claimed'> & { definition: { id: string } }): string =>
  [run.id, key, mapIndex, fence, definition.id].join('.')
