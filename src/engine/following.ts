import type { ClaimedRun } from '#src/db/run-moves.ts'
import type { PlannedStep } from '#src/domain/planned-step.ts'
import { decide } from '#src/domain/run-state.ts'
import type { Step } from '#src/domain/step.ts'

export type Ended = 'succeeded' | 'skipped'
export type Follower = { planned: PlannedStep; definition: Step }

/** Of a run's plan: each step, and those that wait for it. */
type Links = { steps: ReadonlyMap<string, Step>; waiting: ReadonlyMap<string, PlannedStep[]> }

const known = new WeakMap<readonly PlannedStep[], Links>()

function linksOf({ plan, definition }: ClaimedRun): Links {
  const links = known.get(plan)
  if (links) return links
  const waiting = new Map<string, PlannedStep[]>()
  for (const step of plan) {
    for (const need of step.needs) {
      const steps = waiting.get(need)
      if (steps) steps.push(step)
      else waiting.set(need, [step])
    }
  }
  const found = { steps: new Map(definition.steps.map((step) => [step.id, step])), waiting }
  known.set(plan, found)
  return found
}

/**
 * The steps that run once a step has ended and wait for nothing else than it and those that are said to have ended since;
 * each comes when the last of these has. Those that need a place with a connection are left out.
 */
export function following(run: ClaimedRun, first: string, state: Ended) {
  const { steps, waiting } = linksOf(run)
  const ended = new Map<string, Ended>()
  const open = new Map<string, number>()
  const free: PlannedStep[] = []
  const hasEnded = (key: string, as: Ended): void => {
    ended.set(key, as)
    for (const step of waiting.get(key) ?? []) {
      const left = (open.get(step.key) ?? step.needs.length) - 1
      open.set(step.key, left)
      if (left === 0) free.push(step)
    }
  }
  hasEnded(first, state)
  function* each(): Generator<Follower> {
    for (const planned of free) {
      const definition = steps.get(planned.key)
      if (definition && planned.connection === undefined && runs(planned, ended))
        yield { planned, definition }
    }
  }
  return { steps: each(), hasEnded }
}

function runs({ needs, when }: PlannedStep, ended: ReadonlyMap<string, Ended>): boolean {
  if (when === 'always') return false
  const ends = { total: needs.length, succeeded: 0, failed: 0, skipped: 0 }
  for (const need of needs) ends[ended.get(need) ?? 'failed']++
  return decide(when, ends) === 'run'
}
