import { inject } from 'vitest'

/** True where nothing is left out; otherwise a test takes samples of what takes long. */
export const isLongForm = inject('isLongForm')

/** How many random cases a property is tried with: a quarter of them in the short form, others each time. */
export const cases = (all: number): { numRuns: number } => ({
  numRuns: isLongForm ? all : Math.ceil(all / 4),
})
