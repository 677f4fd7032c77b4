import type { StepState } from '#src/domain/run-state.ts'
import type { Random } from '../random.ts'
import type { Rows } from '../rows.ts'

/** What there is of a run when a step begins, as the model sees it. */
export type Model = {
  /** What a dataset holds. */
  rows(dataset: string): Rows
  stateOf(step: string): StepState | undefined
}

/** What a step must come to when it runs. */
export type Expected = {
  state: 'succeeded' | 'failed' | 'skipped'
  /** The rows of the version that it makes; without it, it makes none. */
  made?: Rows
  counts?: { in?: number; out: number; rejected?: number }
  warned?: true
  /** What its output has among other things. */
  output?: Record<string, unknown>
  /** How the items of its maps end, by the keys of these. */
  items?: Readonly<Record<string, { succeeded: number; failed?: number }>>
  loads?: { table: string; mode: 'append' | 'overwrite' | 'upsert'; rows: Rows }
}

/** Another pipeline that a step runs. */
export type Child = { name: string; steps: readonly Made[] }

/** A step as it is written, and what is to come of it. */
export type Made = {
  id: string
  /**
   * The inside of its mapping, after the id. `{salt}` stands for what makes names of pipelines unlike those of another
   * play of the seed, `{outside}` for the address of a server that can be called.
   */
  yaml: string
  /** The dataset that it makes, or makes anew. */
  dataset?: string
  /** The datasets that it reads. */
  reads?: readonly string[]
  /** It reads no data, so that it may come after anything under any rule. */
  anyOrder?: true
  child?: Child
  expect(model: Model): Expected
}

export type Where = { seed: number; position: number; before: readonly Made[] }

/** A file of this folder is one kind of step; the list of them is in kinds.ts. */
export type Kind = {
  /** How often it is taken, compared with the others. */
  weight: number
  /** Undefined where there is nothing that such a step could work on. */
  make(from: Random, where: Where): Made | undefined
}

export const idOf = ({ position }: Where): string => `s${position}`
export const datasetOf = ({ seed, position }: Where): string => `c${seed}_${position}`

/** A dataset of an earlier step. */
export function source(from: Random, { before }: Where): string | undefined {
  const names = before.flatMap(({ dataset }) => dataset ?? [])
  return names.length === 0 ? undefined : from.pick(names)
}

export const succeeded = (made: Rows): Expected => ({
  state: 'succeeded',
  made,
  counts: { out: made.length },
})
