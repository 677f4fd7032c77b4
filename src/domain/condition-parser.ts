import { comparisons, type Comparison, type Condition, type Path } from './condition.ts'

const longest = 2_000
const deepest = 40

type Token =
  | { kind: 'value'; value: string | number | boolean | null; at: number; text: string }
  | {
      kind: 'path' | 'sign' | 'end'
      at: number
      text: string
    }

/** What others write for it. */
const otherSigns: Record<string, string> = {
  '=': '==',
  '===': '==',
  '!==': '!=',
  '<>': '!=',
  '&&': 'and',
  '||': 'or',
  '!': 'not',
}
const words: Record<string, boolean | null> = { true: true, false: false, null: null }
const signWords = ['and', 'or', 'not', 'in']

class Unreadable extends Error {}

/**
 * Reads a condition: names such as params.full and outputs.step.path, texts, numbers, true, false and null, compared with
 * == != < <= > >= and in [...], joined by and, or and not. What it cannot read it says in words.
 */
export function parseCondition(
  text: string,
): { ok: true; condition: Condition } | { ok: false; message: string } {
  try {
    if (text.length > longest) throw new Unreadable(`must have at most ${longest} characters`)
    const reader = new Reader(tokensOf(text))
    const condition = reader.or(0)
    reader.end()
    return { ok: true, condition }
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, message: error.message }
    throw error
  }
}

const tokenShape =
  /\s*(?:("(?:[^"\\]|\\.)*")|('(?:[^']|'')*')|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))|([A-Za-z_][\w]*(?:\.[\w-]+)*)|(===|!==|==|!=|<>|<=|>=|&&|\|\||[-+*/<>=!()[\],])|(\$\{))/y

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  tokenShape.lastIndex = 0
  for (let from = 0; text.slice(from).trim() !== ''; from = tokenShape.lastIndex) {
    tokenShape.lastIndex = from
    const match = tokenShape.exec(text)
    if (!match) {
      const at = from + (/\S/.exec(text.slice(from))?.index ?? 0)
      throw new Unreadable(`cannot be read from ${JSON.stringify(text.slice(at, at + 20))} on`)
    }
    const [, double, single, number, word, sign] = match
    const token = (double ?? single ?? number ?? word ?? sign) as string | undefined
    if (token === undefined)
      throw new Unreadable('names stand without ${ and } in a condition, as in params.name')
    const at = tokenShape.lastIndex - token.length
    if (double !== undefined) tokens.push({ kind: 'value', value: unquoted(double), at, text: token })
    else if (single !== undefined)
      tokens.push({ kind: 'value', value: single.slice(1, -1).replaceAll("''", "'"), at, text: token })
    else if (number !== undefined) tokens.push({ kind: 'value', value: finite(number), at, text: token })
    else if (sign !== undefined || signWords.includes(token)) tokens.push({ kind: 'sign', at, text: token })
    else if (Object.hasOwn(words, token))
      tokens.push({ kind: 'value', value: words[token] ?? null, at, text: token })
    else tokens.push({ kind: 'path', at, text: token })
  }
  return [...tokens, { kind: 'end', at: text.length, text: 'its end' }]
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    throw new Unreadable(`has a text with an escape that is none: ${text.slice(0, 80)}`)
  }
}

function finite(text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value)) throw new Unreadable(`has a number that is too large: ${text.slice(0, 80)}`)
  return value
}

class Reader {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get #token(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', at: 0, text: 'its end' }
  }

  #takes(sign: string): boolean {
    const { kind, text } = this.#token
    if (kind !== 'sign' || text !== sign) return false
    this.#at++
    return true
  }

  #fail(expected: string): never {
    const { at, text, kind } = this.#token
    const word = text.toLowerCase()
    const instead = kind === 'sign' ? otherSigns[text] : signWords.find((sign) => sign === word)
    const found = kind === 'end' ? text : `${JSON.stringify(text.slice(0, 40))} at character ${at + 1}`
    throw new Unreadable(
      `cannot be read: expected ${expected}, found ${found}${instead ? `: did you mean ${instead}?` : ''}`,
    )
  }

  end(): void {
    if (this.#token.kind !== 'end') this.#fail('and, or, a comparison or its end')
  }

  or(depth: number): Condition {
    return this.#joined('or', () => this.#joined('and', () => this.#not(depth)))
  }

  #joined(op: 'and' | 'or', next: () => Condition): Condition {
    const of = [next()]
    while (this.#takes(op)) of.push(next())
    const [only] = of
    return only && of.length === 1 ? only : { op, of }
  }

  #not(depth: number): Condition {
    if (depth > deepest) throw new Unreadable(`is nested deeper than ${deepest} levels`)
    return this.#takes('not') ? { op: 'not', of: this.#not(depth + 1) } : this.#comparison(depth)
  }

  #comparison(depth: number): Condition {
    const left = this.#operand(depth)
    const op = comparisons.find((sign): sign is Comparison => this.#takes(sign))
    if (op) return { op, left, right: this.#operand(depth) }
    if (this.#takes('in')) return { op: 'in', left, list: this.#list(depth) }
    if (!this.#takes('not')) return left
    if (!this.#takes('in')) this.#fail('in after not')
    return { op: 'not', of: { op: 'in', left, list: this.#list(depth) } }
  }

  #list(depth: number): Condition[] | Path {
    if (this.#token.kind === 'path') return this.#path()
    if (!this.#takes('[')) this.#fail('a list such as ["a", "b"] or the name of one')
    const list: Condition[] = []
    if (this.#takes(']')) return list
    do list.push(this.#operand(depth))
    while (this.#takes(','))
    if (!this.#takes(']')) this.#fail(', or ]')
    return list
  }

  #operand(depth: number): Condition {
    const token = this.#token
    if (token.kind === 'value') {
      this.#at++
      return { op: 'value', value: token.value }
    }
    if (token.kind === 'path') return this.#path()
    if (!this.#takes('(')) this.#fail('a name, a value or (')
    const inside = this.or(depth + 1)
    if (!this.#takes(')')) this.#fail(')')
    return inside
  }

  #path(): Path {
    const { text } = this.#token
    this.#at++
    return { op: 'path', path: text.split('.') }
  }
}
