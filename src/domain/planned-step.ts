import { pathsIn } from './condition.ts'
import type { When } from './run-state.ts'
import type { Step } from './step.ts'
import { namesIn } from './template.ts'

/** What the database needs to know of a step before anybody looks at it, worked out when a version is saved. */
export type PlannedStep = {
  key: string
  kind: string
  needs: string[]
  when: When
  position: number
  /** The name of the connection that it works with, whose places it needs one of. */
  connection?: string
  /** The steps whose outputs it names. */
  uses?: string[]
}

export function planned(step: Step, position: number, needs: readonly string[]): PlannedStep {
  const connection = connectionOf(step)
  // A script's text is not read for names: it is handed all that it comes after.
  const uses = step.kind === 'script' ? needs : usedBy(step)
  return {
    key: step.id,
    kind: step.kind,
    needs: [...needs],
    when: step.when,
    position,
    ...(connection === undefined ? {} : { connection }),
    ...(uses.length === 0 ? {} : { uses: [...uses] }),
  }
}

function connectionOf(step: Step): string | undefined {
  if (step.kind === 'extract') return step.extract.connection
  if (step.kind === 'load') return step.load.connection
  if (step.kind === 'wait' && 'connection' in step.wait) return step.wait.connection
  return undefined
}

/** Inner steps of a map name each other's outputs too: those are no steps of the run. */
function usedBy(step: Step): string[] {
  const inner = step.kind === 'map' ? step.map.steps : []
  const conditions = [step, ...inner].flatMap((one) => (one.if ? pathsIn(one.if) : []))
  const names = [...conditions, ...namesIn(step).flatMap((found) => ('name' in found ? [found.name] : []))]
  const used = new Set(names.flatMap(([root, key]) => (root === 'outputs' && key !== undefined ? [key] : [])))
  for (const { id } of inner) used.delete(id)
  return [...used]
}
