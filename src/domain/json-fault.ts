const token =
  /[ \t\n\r]*(?:([{}[\],:])|("[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[ !#-[\]-\uffff]*)*")|(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-]))/y
const space = /[ \t\n\r]*/y

type Wanted = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or }' | ', or ]' | 'end'
const words: Record<Wanted, string> = {
  value: 'a value',
  'value or ]': 'a value or ]',
  key: 'a key in double quotes',
  'key or }': 'a key in double quotes or }',
  ':': 'a colon',
  ', or }': 'a comma or }',
  ', or ]': 'a comma or ]',
  end: 'nothing more',
}

/** Where a text stops being JSON, and what was expected there; undefined when it is JSON. */
export function jsonFault(text: string): { offset: number; expected: string } | undefined {
  const open: ('{' | '[')[] = []
  let wanted: Wanted = 'value'
  for (let at = 0; ;) {
    token.lastIndex = at
    const match = token.exec(text)
    const next: Wanted | undefined = match
      ? step(wanted, match[1] ?? (match[2] === undefined ? 'scalar' : 'text'), open)
      : undefined
    if (!match || !next) {
      space.lastIndex = at
      const offset = at + (space.exec(text)?.[0].length ?? 0)
      return wanted === 'end' && offset === text.length ? undefined : { offset, expected: words[wanted] }
    }
    wanted = next
    at = token.lastIndex
  }
}

/** What may follow, or undefined when the token cannot stand here. */
function step(wanted: Wanted, found: string, open: ('{' | '[')[]): Wanted | undefined {
  const after = (): Wanted => (open.length === 0 ? 'end' : open.at(-1) === '{' ? ', or }' : ', or ]')
  const close = (): Wanted => {
    open.pop()
    return after()
  }
  switch (wanted) {
    case 'value':
    case 'value or ]':
      if (found === ']' && wanted === 'value or ]') return close()
      if (found === 'scalar' || found === 'text') return after()
      if (found !== '{' && found !== '[') return undefined
      open.push(found)
      return found === '{' ? 'key or }' : 'value or ]'
    case 'key':
    case 'key or }':
      if (found === '}' && wanted === 'key or }') return close()
      return found === 'text' ? ':' : undefined
    case ':':
      return found === ':' ? 'value' : undefined
    case ', or }':
      return found === ',' ? 'key' : found === '}' ? close() : undefined
    case ', or ]':
      return found === ',' ? 'value' : found === ']' ? close() : undefined
    case 'end':
      return undefined
  }
}
