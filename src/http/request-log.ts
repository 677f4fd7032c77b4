/** One line of JSON on standard output: where every log line of the Worker ends. */
export function printLine(line: Record<string, unknown>): void {
  console.log(JSON.stringify(line))
}

/** What may be said of an error in a log: never its message, which may hold SQL, parameters or a key. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error }
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  const cause = error.cause instanceof Error ? { cause: describeError(error.cause) } : {}
  return { error: error.name, ...code, at: frames.slice(0, 8).map((line) => line.trim()), ...cause }
}
