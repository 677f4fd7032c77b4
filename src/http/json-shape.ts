import { Problem } from '#src/domain/problem.ts'

const maxDepth = 32
const quote = 34
const backslash = 92

/**
 * Refuses what JSON.parse would take and nobody means, before anything is built: nesting that is only there to exhaust
 * whoever walks it, a name twice in one object (of which two readers may each see another), and `__proto__`.
 */
export function refuseUnsafeJson(json: string): void {
  /** The names of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = []
  let nameIsNext = false
  for (let i = 0; i < json.length; i++) {
    switch (json.charCodeAt(i)) {
      case quote: {
        const start = i
        i = endOfString(json, i)
        const names = open.at(-1)
        if (nameIsNext && names) noteName(names, json.slice(start, i + 1))
        nameIsNext = false
        break
      }
      case 91: // [
      case 123: // {
        nameIsNext = json.charCodeAt(i) === 123
        if (open.push(nameIsNext ? new Set() : undefined) > maxDepth)
          throw new Problem('malformed', `JSON may be nested ${maxDepth} levels deep.`)
        break
      case 93: // ]
      case 125: // }
        open.pop()
        nameIsNext = false
        break
      case 44: // ,
        nameIsNext = open.at(-1) !== undefined
    }
  }
}

/** Where the string that begins here ends; where the text ends, when it does not. */
function endOfString(json: string, start: number): number {
  for (let i = start + 1; i < json.length; i++) {
    const code = json.charCodeAt(i)
    if (code === quote) return i
    if (code === backslash) i++
  }
  return json.length
}

function noteName(names: Set<string>, text: string): void {
  const name = text.includes('\\') ? unescaped(text) : text.slice(1, -1)
  if (names.has(name))
    throw new Problem('malformed', `An object in the body has "${name.slice(0, 100)}" twice.`)
  if (name === '__proto__') throw new Problem('malformed', 'An object in the body has "__proto__".')
  names.add(name)
}

/** `"\u0061"` is the same name as `"a"`. What is no JSON is refused by the parser that comes next. */
function unescaped(text: string): string {
  try {
    return String(JSON.parse(text))
  } catch {
    return text
  }
}
