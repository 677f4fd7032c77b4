import { pathsIn } from './condition.ts'
import { parameterNamed } from './pipeline-parameters.ts'
import { nearest } from './spelling.ts'
import type { Step } from './step.ts'
import { namesIn, type Named } from './template.ts'

type Found = { path: PropertyKey[]; message: string }

/** Everything that a step names in its templates, its condition and the SQL of its sensor, without its inner steps. */
export function namedBy(step: Step): Named[] {
  return [...(step.if ? pathsIn(step.if) : []).map((name) => ({ at: ['if'], name })), ...inTemplates(step)]
}

function inTemplates(step: Step): Named[] {
  switch (step.kind) {
    case 'wait': {
      const { wait } = step
      if ('until' in wait) return namesIn(wait.until, ['wait', 'until'])
      if ('approval' in wait) return namesIn(wait.approval.message, ['wait', 'approval', 'message'])
      if ('prefix' in wait) return namesIn(wait.prefix, ['wait', 'object', 'prefix'])
      return 'sql' in wait ? namesIn(wait.sql, ['wait', 'sql']) : []
    }
    case 'call': {
      const { url, headers, body } = step.call
      return namesIn({ url, headers, body }, ['call'])
    }
    case 'map':
      return namesIn(step.map.over, ['map', 'over'])
    case 'pipeline':
      return namesIn(step.pipeline.parameters, ['pipeline', 'parameters'])
    case 'notify':
      return namesIn(step.notify.message, ['notify', 'message'])
    // Parameters in SQL and in the values of filters are no templates: they are handed over as values.
    case 'extract':
    case 'transform':
    case 'sql':
    case 'check':
    case 'load':
    case 'script':
      return []
  }
}

/** The steps of the run whose outputs a step names, itself or in its inner steps. */
export function outputsUsed(step: Step, own: readonly string[] = []): string[] {
  const named = namedBy(step).flatMap((one) =>
    'name' in one && one.name[0] === 'outputs' && one.name[1] !== undefined ? [one.name[1]] : [],
  )
  const inner = step.kind === 'map' ? step.map.steps : []
  const ids = [...own, ...inner.map(({ id }) => id)]
  return [
    ...new Set([
      ...named.filter((id) => !own.includes(id)),
      ...inner.flatMap((one) => outputsUsed(one, ids)),
    ]),
  ]
}

/** The names of parameters that a step uses, itself or in its inner steps; SQL steps are not looked into. */
export function parametersUsed(step: Step): string[] {
  const named = namedBy(step).flatMap((one) =>
    'name' in one && one.name[0] === 'params' && one.name[1] !== undefined ? [one.name[1]] : [],
  )
  if (step.kind === 'map') return [...named, ...step.map.steps.flatMap(parametersUsed)]
  if (step.kind !== 'transform') return named
  return [...named, ...step.transform.flatMap(({ with: body }) => filterParameters(body))]
}

const filterParameters = (value: unknown): string[] =>
  typeof value === 'object' && value !== null
    ? Object.values(value).flatMap(filterParameters)
    : [parameterNamed(value)].filter((name) => name !== undefined)

/** What can be named where a step stands. */
type Visible = {
  params: readonly string[]
  steps: readonly string[]
  items: readonly string[]
  later: readonly string[]
}

/** Names that lead nowhere, and steps inside maps that are there twice or stand in the wrong order. */
export function nameProblems(steps: readonly Step[], params: readonly string[]): Found[] {
  const ids = steps.map(({ id }) => id)
  const inMaps = new Map(
    steps.flatMap((step) =>
      step.kind === 'map' ? step.map.steps.map(({ id }) => [id, step.id] as const) : [],
    ),
  )
  return steps.flatMap((step, i) =>
    problemsOf(step, ['steps', i], { params, steps: ids, items: [], later: [] }, inMaps),
  )
}

function problemsOf(
  step: Step,
  path: PropertyKey[],
  visible: Visible,
  inMaps: ReadonlyMap<string, string>,
): Found[] {
  const found = namedBy(step).flatMap((one) => {
    const message = problemOf(one, step, visible, inMaps)
    return message === undefined ? [] : [{ path: [...path, ...one.at], message }]
  })
  if (step.kind !== 'map') return found
  const { as, steps } = step.map
  if (visible.items.includes(as))
    found.push({
      path: [...path, 'map', 'as'],
      message: `"${as}" is an item of the map around this one already`,
    })
  const ids = steps.map(({ id }) => id)
  const items = [...visible.items, as]
  const inside = steps.flatMap((inner, i) => {
    const at = [...path, 'map', 'steps', i]
    const before = ids.slice(0, i)
    const known = visible.steps.filter((id) => id !== step.id)
    return [
      ...orderProblems(inner, at, before, visible.steps),
      ...problemsOf(
        inner,
        at,
        { ...visible, items, steps: [...known, ...before], later: ids.slice(i) },
        inMaps,
      ),
    ]
  })
  return [...found, ...inside]
}

function orderProblems(
  inner: Step,
  path: PropertyKey[],
  before: readonly string[],
  around: readonly string[],
): Found[] {
  const found: Found[] = []
  if (before.includes(inner.id) || around.includes(inner.id))
    found.push({ path: [...path, 'id'], message: `there are two steps "${inner.id}"` })
  const name = inner.after.find((after) => !before.includes(after))
  if (name !== undefined)
    found.push({
      path: [...path, 'after'],
      message: `"${name}" is no step before this one in its map, whose steps follow each other as they are written`,
    })
  return found
}

const roots = ['params', 'outputs', 'run', 'callback']
const ofRun = ['id', 'scheduledFor', 'trigger']

function problemOf(
  named: Named,
  step: Step,
  { params, steps, items, later }: Visible,
  inMaps: ReadonlyMap<string, string>,
): string | undefined {
  if ('bad' in named)
    return `"${named.bad}" is no name such as \${params.name} or \${outputs.step.body}; a \${ that is meant as it is, is written $\${`
  const [root = '', key, ...more] = named.name
  const written = named.name.join('.')
  const hinted = (message: string, word: string, known: readonly string[]) => {
    const hint = nearest(word, known)
    return `${message}${hint ? `: did you mean "${hint}"?` : ''}`
  }
  if (items.includes(root)) return undefined
  if (step.kind === 'wait' && named.at[1] === 'sql') {
    if ('connection' in step.wait && step.wait.connection !== undefined)
      return `SQL for a connection is sent as it stands; found ${written}`
    if (root !== 'params') return `SQL is given parameters only, as in \${params.name}; found ${written}`
  }
  switch (root) {
    case 'params':
      if (key === undefined) return 'names no parameter: write params.name'
      if (!params.includes(key)) return hinted(`there is no parameter "${key}"`, key, params)
      return more.length > 0 ? `"${written}" leads nowhere: a parameter is one value` : undefined
    case 'outputs':
      if (key === undefined) return 'names no step: write outputs.step'
      if (key === step.id) return `a step cannot use its own outputs; found ${written}`
      if (steps.includes(key)) return undefined
      if (later.includes(key)) return `step "${key}" comes after this one in the map; found ${written}`
      if (inMaps.has(key))
        return `step "${key}" is inside the map "${inMaps.get(key)}": what that gives is outputs.${inMaps.get(key)}.results`
      return hinted(`there is no step "${key}"`, key, steps)
    case 'run':
      return ofRun.includes(key ?? '') && more.length === 0
        ? undefined
        : `of the run there is ${ofRun.map((one) => `run.${one}`).join(', ')}; found ${written}`
    case 'callback':
      if (key !== 'url' || more.length > 0) return `of the callback there is callback.url; found ${written}`
      return step.kind === 'call' && step.call.answer === 'callback' && named.at[0] === 'call'
        ? undefined
        : 'callback.url is there in a call with "wait: callback" only'
    case 'secrets':
      return 'secrets are not supported here: a definition names none'
    default:
      return hinted(`nothing is named "${root}": names begin with ${[...roots, ...items].join(', ')}`, root, [
        ...roots,
        ...items,
      ])
  }
}
