/** A compiled `Upstash-Retry-Delay`: milliseconds for the number of retries made so far. */
export type DelayExpression = (retried: number) => number

const functions: Record<string, (...values: number[]) => number> = {
  pow: Math.pow,
  exp: Math.exp,
  sqrt: Math.sqrt,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  round: Math.round,
  min: Math.min,
  max: Math.max,
}
const arity: Record<string, number> = { pow: 2, exp: 1, sqrt: 1, abs: 1, floor: 1, ceil: 1, round: 1 }
const tokenPattern = /\s*(?:(\d+(?:\.\d+)?|\.\d+)|([a-z]+)|([-+*/%(),]))/y

/** Parses an arithmetic expression over `retried`; throws a SyntaxError where it is none. */
export function parseDelayExpression(source: string): DelayExpression {
  const tokens = tokenize(source)
  let at = 0
  const take = (token: string): boolean => tokens[at] === token && ++at > 0
  const expect = (token: string): void => {
    if (!take(token)) throw new SyntaxError(`expected "${token}" in the expression "${source}"`)
  }

  function sum(): DelayExpression {
    let left = product()
    for (;;) {
      const before = left
      if (take('+')) {
        const right = product()
        left = (retried) => before(retried) + right(retried)
      } else if (take('-')) {
        const right = product()
        left = (retried) => before(retried) - right(retried)
      } else return left
    }
  }

  function product(): DelayExpression {
    let left = factor()
    for (;;) {
      const before = left
      if (take('*')) {
        const right = factor()
        left = (retried) => before(retried) * right(retried)
      } else if (take('/')) {
        const right = factor()
        left = (retried) => before(retried) / right(retried)
      } else if (take('%')) {
        const right = factor()
        left = (retried) => before(retried) % right(retried)
      } else return left
    }
  }

  function factor(): DelayExpression {
    if (take('-')) {
      const value = factor()
      return (retried) => -value(retried)
    }
    if (take('+')) return factor()
    if (take('(')) {
      const value = sum()
      expect(')')
      return value
    }
    const token = tokens[at++]
    if (token === undefined) throw new SyntaxError(`the expression "${source}" ends too early`)
    if (token === 'retried') return (retried) => retried
    if (/^[\d.]/.test(token)) {
      const value = Number(token)
      return () => value
    }
    return call(token)
  }

  function call(name: string): DelayExpression {
    const apply = Object.hasOwn(functions, name) ? functions[name] : undefined
    if (!apply) throw new SyntaxError(`"${name}" is not known in the expression "${source}"`)
    expect('(')
    const values = [sum()]
    while (take(',')) values.push(sum())
    expect(')')
    if (values.length !== (arity[name] ?? values.length))
      throw new SyntaxError(`"${name}" takes ${arity[name]} values in the expression "${source}"`)
    return (retried) => apply(...values.map((value) => value(retried)))
  }

  const parsed = sum()
  if (at < tokens.length)
    throw new SyntaxError(`"${tokens[at]}" is not expected in the expression "${source}"`)
  return parsed
}

function tokenize(source: string): string[] {
  if (source.length > 1_000) throw new SyntaxError('the expression is longer than 1000 characters')
  const text = source.trim()
  const tokens: string[] = []
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < text.length) {
    const match = tokenPattern.exec(text)
    if (!match) throw new SyntaxError(`the expression "${source}" cannot be read`)
    tokens.push(match[0].trim())
  }
  if (tokens.length === 0) throw new SyntaxError('the expression is empty')
  return tokens
}
