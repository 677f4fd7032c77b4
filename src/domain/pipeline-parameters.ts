import type { Step } from './pipeline.ts'
import { nearest } from './spelling.ts'

type Found = { path: PropertyKey[]; message: string }

/** The parameter that a value stands for: one that is nothing but `${params.name}`. */
export const parameterNamed = (value: unknown): string | undefined =>
  typeof value === 'string' ? /^\$\{params\.([a-z][a-z0-9_]*)\}$/.exec(value)?.[1] : undefined

const only = 'names such as ${params.name} stand in SQL, in the values of filters and in templates only'

/** Here parameters stand in SQL, which its own parser checks, and are the whole of a filter's value; nowhere else. */
export function parameterProblems(steps: readonly Step[], known: readonly string[]): Found[] {
  return steps.flatMap((step, index) => {
    if (step.kind === 'check') {
      return textsIn(step.rules, ['steps', index, 'rules']).map(({ path }) => ({ path, message: only }))
    }
    if (step.kind === 'extract')
      return textsIn(step.extract, ['steps', index, 'extract']).map(({ path }) => ({ path, message: only }))
    if (step.kind === 'load')
      return textsIn(step.load, ['steps', index, 'load']).map(({ path }) => ({ path, message: only }))
    if (step.kind !== 'transform') return []
    return step.transform.flatMap(({ op, with: body }, at) =>
      textsIn(body, ['steps', index, 'transform', at, op]).flatMap(({ path, text }) =>
        problemOf(op, path, text, known),
      ),
    )
  })
}

function problemOf(op: string, path: PropertyKey[], text: string, known: readonly string[]): Found[] {
  const name = parameterNamed(text)
  if (op !== 'filter') return [{ path, message: only }]
  if (name === undefined)
    return [
      {
        path,
        message: `a parameter is the whole value, as in "\${params.name}"; found ${JSON.stringify(text.slice(0, 80))}`,
      },
    ]
  if (known.includes(name)) return []
  const hint = nearest(name, known)
  return [{ path, message: `there is no parameter "${name}"${hint ? `: did you mean "${hint}"?` : ''}` }]
}

/** Every text inside that has a parameter's mark in it, by its path. */
function textsIn(value: unknown, path: PropertyKey[]): { path: PropertyKey[]; text: string }[] {
  if (typeof value === 'string') return value.includes('${params.') ? [{ path, text: value }] : []
  if (Array.isArray(value)) return value.flatMap((item, i) => textsIn(item, [...path, i]))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => textsIn(item, [...path, key]))
}
