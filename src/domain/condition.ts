import type { Json } from './json.ts'
import { valueAt, type Scope } from './template.ts'

export const comparisons = ['==', '!=', '<=', '>=', '<', '>'] as const
export type Comparison = (typeof comparisons)[number]

export type Path = { op: 'path'; path: string[] }

/** A parsed `if`. A path begins with params, outputs, run or the name of an item. */
export type Condition =
  | { op: 'value'; value: string | number | boolean | null }
  | Path
  | { op: 'not'; of: Condition }
  | { op: 'and' | 'or'; of: Condition[] }
  | { op: Comparison; left: Condition; right: Condition }
  /** One of these, or of the list that stands at a path. */
  | { op: 'in'; left: Condition; list: Condition[] | Path }

/**
 * Whether the condition holds. It never fails: what is not there is null, values of different types are not equal and none
 * is less than the other, and only true is true. Texts, dates and times among them, compare as they are written.
 */
export const holds = (condition: Condition, scope: Scope): boolean => valueOf(condition, scope) === true

function valueOf(condition: Condition, scope: Scope): Json {
  switch (condition.op) {
    case 'value':
      return condition.value
    case 'path':
      return valueAt(scope, condition.path) ?? null
    case 'not':
      return !holds(condition.of, scope)
    case 'and':
      return condition.of.every((one) => holds(one, scope))
    case 'or':
      return condition.of.some((one) => holds(one, scope))
    case 'in': {
      const left = valueOf(condition.left, scope)
      const list = Array.isArray(condition.list)
        ? condition.list.map((one) => valueOf(one, scope))
        : valueOf(condition.list, scope)
      return Array.isArray(list) && list.some((one) => equal(left, one))
    }
    case '==':
    case '!=':
    case '<=':
    case '>=':
    case '<':
    case '>':
      return compare(condition.op, valueOf(condition.left, scope), valueOf(condition.right, scope))
  }
}

function compare(op: Comparison, left: Json, right: Json): boolean {
  if (op === '==') return equal(left, right)
  if (op === '!=') return !equal(left, right)
  const order =
    typeof left === 'number' && typeof right === 'number'
      ? left - right
      : typeof left === 'string' && typeof right === 'string'
        ? Number(left > right) - Number(left < right)
        : Number.NaN
  return { '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[op]
}

/** Lists and mappings equal nothing. */
const equal = (left: Json, right: Json): boolean =>
  left === right && (left === null || typeof left !== 'object')

/** The condition as it would be written; reading that gives the same tree. */
export function conditionText(condition: Condition): string {
  switch (condition.op) {
    case 'value':
      return JSON.stringify(condition.value)
    case 'path':
      return condition.path.join('.')
    case 'not':
      return `not ${part(condition.of)}`
    case 'and':
    case 'or':
      return condition.of.map(part).join(` ${condition.op} `)
    case 'in': {
      const { left, list } = condition
      return `${part(left)} in ${Array.isArray(list) ? `[${list.map(part).join(', ')}]` : conditionText(list)}`
    }
    case '==':
    case '!=':
    case '<=':
    case '>=':
    case '<':
    case '>':
      return `${part(condition.left)} ${condition.op} ${part(condition.right)}`
  }
}

const part = (condition: Condition): string =>
  condition.op === 'value' || condition.op === 'path'
    ? conditionText(condition)
    : `(${conditionText(condition)})`

/** Every path that the condition names. */
export function pathsIn(condition: Condition): string[][] {
  switch (condition.op) {
    case 'value':
      return []
    case 'path':
      return [condition.path]
    case 'not':
      return pathsIn(condition.of)
    case 'and':
    case 'or':
      return condition.of.flatMap(pathsIn)
    case 'in':
      return [
        ...pathsIn(condition.left),
        ...(Array.isArray(condition.list) ? condition.list.flatMap(pathsIn) : pathsIn(condition.list)),
      ]
    case '==':
    case '!=':
    case '<=':
    case '>=':
    case '<':
    case '>':
      return [...pathsIn(condition.left), ...pathsIn(condition.right)]
  }
}
