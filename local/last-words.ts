/** Passes lines on and remembers the last few, for the error of a process that ended too early. */
export function lastWords(onLine: (line: string) => void, keep = 12) {
  const lines: string[] = []
  return {
    note: (line: string) => {
      lines.push(line)
      if (lines.length > keep) lines.shift()
      onLine(line)
    },
    text: () =>
      lines.length ? ` Its last words:\n${lines.map((line) => `  ${line.slice(0, 400)}`).join('\n')}` : '',
  }
}
