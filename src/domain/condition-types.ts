import { conditionText, type Condition } from './condition.ts'
import type { Parameter, ParameterType } from './parameters.ts'

type Kind = 'number' | 'text' | 'truth' | 'null' | 'unknown'

const kindOfParameter: Record<ParameterType, Kind> = {
  text: 'text',
  integer: 'number',
  number: 'number',
  boolean: 'truth',
  date: 'text',
  timestamp: 'text',
}
const words: Record<Kind, string> = {
  number: 'a number',
  text: 'a text',
  truth: 'true or false',
  null: 'null',
  unknown: 'anything',
}

class Mistyped extends Error {}

/** Why a condition can mean nothing, by the types of the parameters; what steps give can be of any type. */
export function conditionFault(
  condition: Condition,
  parameters: Readonly<Record<string, Parameter>>,
): string | undefined {
  const kindOf = (one: Condition): Kind => {
    switch (one.op) {
      case 'value':
        if (one.value === null) return 'null'
        return typeof one.value === 'boolean' ? 'truth' : typeof one.value === 'number' ? 'number' : 'text'
      case 'path': {
        const [root, name = ''] = one.path
        const parameter = root === 'params' && Object.hasOwn(parameters, name) ? parameters[name] : undefined
        return parameter ? kindOfParameter[parameter.type] : 'unknown'
      }
      case 'not':
        return truth(one.of)
      case 'and':
      case 'or':
        one.of.forEach(truth)
        return 'truth'
      case 'in':
        if (Array.isArray(one.list)) for (const item of one.list) alike(one.left, item)
        else if (kindOf(one.list) !== 'unknown')
          throw new Mistyped(`${conditionText(one.list)} is ${words[kindOf(one.list)]} and no list`)
        kindOf(one.left)
        return 'truth'
      case '==':
      case '!=':
        alike(one.left, one.right)
        return 'truth'
      case '<':
      case '<=':
      case '>':
      case '>=':
        for (const side of [one.left, one.right]) {
          const kind = kindOf(side)
          if (kind === 'truth' || kind === 'null')
            throw new Mistyped(`${conditionText(side)} is ${words[kind]}, which nothing is less or more than`)
        }
        alike(one.left, one.right)
        return 'truth'
    }
  }
  const truth = (one: Condition): Kind => {
    const kind = kindOf(one)
    if (kind === 'truth' || kind === 'unknown') return 'truth'
    throw new Mistyped(`${conditionText(one)} is ${words[kind]}, where something true or false belongs`)
  }
  const alike = (left: Condition, right: Condition): void => {
    const [one, other] = [kindOf(left), kindOf(right)]
    if (one === other || [one, other].some((kind) => kind === 'unknown' || kind === 'null')) return
    throw new Mistyped(
      `${conditionText(left)} is ${words[one]} and ${conditionText(right)} is ${words[other]}: they are never equal, and neither is less`,
    )
  }
  try {
    truth(condition)
    return undefined
  } catch (error) {
    if (error instanceof Mistyped) return error.message
    throw error
  }
}
