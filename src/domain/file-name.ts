import * as z from 'zod'

/** Object storage takes a key of 512 bytes from us, and the folder of a connection needs part of that. */
const mostBytes = 255

function whatIsWrong(name: string): string | undefined {
  if (name === '') return 'must not be empty'
  if (!name.isWellFormed()) return 'must be well-formed Unicode'
  if (new TextEncoder().encode(name).length > mostBytes) return `must have ${mostBytes} bytes at most`
  if (name.includes('..') || name === '.') return 'must not be "." or hold ".."'
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[/\\\u0000-\u001f\u007f-\u009f]/.test(name))
    return 'must not hold a slash, a backslash or a control character'
  return undefined
}

/** What a file of a files connection may be called: one part of a path that can go nowhere else. */
export const fileName = z.string().check((checked) => {
  const message = whatIsWrong(checked.value)
  if (message) checked.issues.push({ code: 'custom', message, input: checked.value })
})
