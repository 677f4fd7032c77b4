import type { Definition, Step } from './pipeline.ts'
import type { FieldProblem } from './problem.ts'
import type { SourceMap } from './pipeline-source.ts'
import { decide } from './run-state.ts'
import { namedBy, outputsUsed, parametersUsed } from './pipeline-names.ts'
import { nearest } from './spelling.ts'

export type Graph =
  | { ok: true; needs: ReadonlyMap<string, string[]>; reads: string[]; warnings: FieldProblem[] }
  | { ok: false; fields: FieldProblem[] }

/**
 * What every SQL step of the definition and every wait for SQL reads and which parameters it names, by the step's id; by
 * map.step for the inner steps of a map.
 */
export type SqlReads = ReadonlyMap<string, { tables: readonly string[]; parameters: readonly string[] }>

/**
 * Order follows data. A step needs the step that makes what it reads, the checks of that dataset (for what follows reads
 * checked rows) unless a check itself comes after the step, the steps whose outputs it names, and what it names in `after`.
 */
export function graphOf(definition: Definition, sqlReads: SqlReads, source: SourceMap): Graph {
  const { steps } = definition
  const fields: FieldProblem[] = []
  const complain = (index: number, key: string, message: string) => {
    fields.push({
      path: `steps[${index}].${key}`,
      message,
      ...source.at(['steps', index, ...key.split('.')]),
    })
  }
  const indexOf = new Map<string, number>()
  const makerOf = new Map<string, string>()
  for (const [index, step] of steps.entries()) {
    if (indexOf.has(step.id)) complain(index, 'id', `there are two steps "${step.id}"`)
    indexOf.set(step.id, index)
    const made = madeBy(step)
    if (made === undefined) continue
    const other = makerOf.get(made)
    if (other !== undefined) complain(index, 'into', `dataset "${made}" is made by step "${other}" already`)
    else makerOf.set(made, step.id)
  }
  const needs = new Map<string, Set<string>>(steps.map((step) => [step.id, new Set<string>()]))
  const outside = new Set<string>()
  for (const [index, step] of steps.entries()) {
    const own = needs.get(step.id)
    for (const name of step.after) {
      if (!indexOf.has(name)) {
        const hint = nearest(name, [...indexOf.keys()])
        complain(index, 'after', `there is no step "${name}"${hint ? `: did you mean "${hint}"?` : ''}`)
      } else if (name === step.id) complain(index, 'after', 'a step cannot come after itself')
      else own?.add(name)
    }
    for (const used of outputsUsed(step)) if (indexOf.has(used) && used !== step.id) own?.add(used)
    for (const dataset of readBy(step, sqlReads)) {
      const maker = makerOf.get(dataset)
      // What a step reads and makes anew is, to it, what was there before the run.
      if (maker === undefined || maker === step.id) outside.add(dataset)
      else own?.add(maker)
    }
  }
  if (fields.length > 0) return { ok: false, fields }
  addChecks(steps, needs, sqlReads)
  const cycle = cycleIn(needs)
  if (cycle) {
    const index = indexOf.get(cycle[0] ?? '') ?? 0
    complain(index, 'id', `these steps wait for each other: ${[...cycle, cycle[0]].join(' → ')}`)
    return { ok: false, fields }
  }
  return {
    ok: true,
    needs: new Map([...needs].map(([id, set]) => [id, [...set]])),
    reads: [...outside],
    warnings: [
      ...unusedParameters(definition, sqlReads, source),
      ...neverRun(steps, needs, source),
      ...neverAnswered(steps, source),
    ],
  }
}

const madeBy = (step: Step): string | undefined => ('into' in step ? step.into : undefined)

/** The datasets that a step reads. */
export function readBy(step: Step, sqlReads: SqlReads, key = step.id): readonly string[] {
  switch (step.kind) {
    case 'transform':
      return [step.from]
    case 'sql':
      return sqlReads.get(key)?.tables ?? []
    case 'wait':
      return 'sql' in step.wait ? (sqlReads.get(key)?.tables ?? []) : []
    case 'check':
      return [step.dataset]
    case 'load':
      return [step.load.from]
    case 'script':
      return [step.script.from]
    case 'map':
      return step.map.steps.flatMap((inner) => readBy(inner, sqlReads, `${key}.${inner.id}`))
    case 'extract':
    case 'call':
    case 'pipeline':
    case 'notify':
      return []
  }
}

function addChecks(steps: readonly Step[], needs: Map<string, Set<string>>, sqlReads: SqlReads): void {
  const checks = steps.filter((step) => step.kind === 'check')
  for (const [position, check] of checks.entries()) {
    // Checks of one dataset come one after the other, as they are written.
    const before = checks.slice(0, position).findLast((other) => other.dataset === check.dataset)
    if (before && !reaches(needs, before.id, check.id)) needs.get(check.id)?.add(before.id)
  }
  for (const check of checks) {
    for (const step of steps) {
      if (step.kind === 'check' || !readBy(step, sqlReads).includes(check.dataset)) continue
      if (!reaches(needs, check.id, step.id)) needs.get(step.id)?.add(check.id)
    }
  }
}

/** Whether `from` needs `to`, directly or through others. */
function reaches(needs: ReadonlyMap<string, ReadonlySet<string>>, from: string, to: string): boolean {
  const seen = new Set<string>()
  const open = [from]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === to) return true
    if (seen.has(at)) continue
    seen.add(at)
    open.push(...(needs.get(at) ?? []))
  }
  return false
}

/** The steps of one cycle, in the order in which they wait for each other. */
function cycleIn(needs: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const left = new Map([...needs].map(([id, set]) => [id, new Set(set)]))
  for (let removed = true; removed;) {
    removed = false
    for (const [id, set] of left) {
      if ([...set].some((need) => left.has(need))) continue
      left.delete(id)
      removed = true
    }
  }
  const [start] = left.keys()
  if (start === undefined) return undefined
  const path: string[] = []
  for (let at: string | undefined = start; at !== undefined && !path.includes(at);) {
    path.push(at)
    at = [...(left.get(at) ?? [])].find((need) => left.has(need))
    if (at !== undefined && path.includes(at)) return path.slice(path.indexOf(at))
  }
  return path
}

/** A step that waits for one of the steps that it needs, and needs none, waits in vain. */
function neverRun(
  steps: readonly Step[],
  needs: ReadonlyMap<string, ReadonlySet<string>>,
  source: SourceMap,
): FieldProblem[] {
  return steps.flatMap(({ id, when }, index) => {
    if (
      needs.get(id)?.size !== 0 ||
      decide(when, { total: 0, succeeded: 0, failed: 0, skipped: 0 }) === 'run'
    )
      return []
    return [
      {
        path: `steps[${index}].when`,
        message: `this step never runs: it needs no other step, and ${when} wants one`,
        ...source.at(['steps', index, 'when']),
      },
    ]
  })
}

/** A call that waits to be called back, and does not say where. */
function neverAnswered(steps: readonly Step[], source: SourceMap): FieldProblem[] {
  return steps.flatMap((step, index) => {
    if (step.kind !== 'call' || step.call.answer !== 'callback' || step.call.url === undefined) return []
    if (namedBy(step).some((one) => 'name' in one && one.name[0] === 'callback')) return []
    return [
      {
        path: `steps[${index}].call`,
        message: 'nothing in this call tells the callback address, which is "${callback.url}"',
        ...source.at(['steps', index, 'call']),
      },
    ]
  })
}

function unusedParameters(definition: Definition, sqlReads: SqlReads, source: SourceMap): FieldProblem[] {
  const used = new Set([
    ...[...sqlReads.values()].flatMap(({ parameters }) => parameters),
    ...definition.steps.flatMap(parametersUsed),
  ])
  // A script is handed them all; it uses those whose names stand in it.
  const scripts = definition.steps.map((step) => (step.kind === 'script' ? step.script.code : '')).join('\n')
  return Object.keys(definition.parameters)
    .filter((name) => !used.has(name) && !new RegExp(`\\b${name}\\b`).test(scripts))
    .map((name) => ({
      path: `parameters.${name}`,
      message: 'no step uses this parameter',
      ...source.at(['parameters', name]),
    }))
}
