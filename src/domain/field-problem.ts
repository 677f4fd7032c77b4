import type { FieldProblem } from './problem.ts'

type Issue = {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
}

/** What a schema found wrong. Each unknown key is a problem of its own, named by its path. */
export const fieldProblems = (issues: readonly Issue[], ...under: readonly string[]): FieldProblem[] =>
  issues.flatMap(({ code, path, message, keys }) => {
    const at = [...under, ...path.map(String)]
    if (code !== 'unrecognized_keys' || !keys) return [{ path: at.join('.'), message }]
    return keys.map((key) => ({ path: [...at, key].join('.'), message: 'is not known here' }))
  })
