/** Rewrites PostgreSQL's text form of an array as a JSON array; `element` turns one element's text into JSON. */
export function arrayToJson(text: string, element: (text: string) => string): string {
  // Bounds such as [2:3]= have no place in JSON.
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  const list = (): string => {
    const items: string[] = []
    at++
    while (text[at] !== '}') {
      if (at >= text.length) throw new Error('unbalanced array')
      if (text[at] === ',') at++
      items.push(item())
    }
    at++
    return `[${items.join(',')}]`
  }
  const item = (): string => {
    if (text[at] === '{') return list()
    if (text[at] === '"') return element(quoted())
    const start = at
    while (at < text.length && text[at] !== ',' && text[at] !== '}') at++
    const bare = text.slice(start, at)
    return bare === 'NULL' ? 'null' : element(bare)
  }
  const quoted = (): string => {
    let value = ''
    for (at++; text[at] !== '"'; at++) {
      if (at >= text.length) throw new Error('unbalanced string')
      if (text[at] === '\\') at++
      value += text[at]
    }
    at++
    return value
  }
  return list()
}
