/** Redis's patterns for names: `*`, `?`, `[abc]`, `[^a-z]`, and `\` before what is meant as it stands. */
export function globTest(pattern: string): (name: string) => boolean {
  if (pattern === '*') return () => true
  let source = ''
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i)
    const end = char === '[' ? pattern.indexOf(']', i + 1) : -1
    if (char === '*') source += '.*'
    else if (char === '?') source += '.'
    else if (char === '\\' && i + 1 < pattern.length) source += escape(pattern.charAt(++i))
    else if (end > i + 1) {
      source += classOf(pattern.slice(i + 1, end))
      i = end
    } else source += escape(char)
  }
  const regExp = new RegExp(`^${source}$`, 's')
  return (name) => regExp.test(name)
}

const escape = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

function classOf(inside: string): string {
  const isNot = inside.startsWith('^')
  const chars = (isNot ? inside.slice(1) : inside).replaceAll(/[\\[\]^]/g, '\\$&')
  return `[${isNot ? '^' : ''}${chars}]`
}
