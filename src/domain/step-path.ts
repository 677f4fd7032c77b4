import type { Step } from './step.ts'

export type Path = readonly PropertyKey[]

/** As steps[3].map.over */
export const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`,
    '',
  )

/** A step, inner ones of maps too, by its id and by map.step inside a map. */
export type Placed = { step: Step; key: string; path: Path }

export const everyStep = (steps: readonly Step[], path: Path = ['steps'], prefix = ''): Placed[] =>
  steps.flatMap((step, i) => {
    const placed = { step, key: `${prefix}${step.id}`, path: [...path, i] }
    if (step.kind !== 'map') return [placed]
    return [placed, ...everyStep(step.map.steps, [...placed.path, 'map', 'steps'], `${placed.key}.`)]
  })
