export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** What one step keeps, its items included; app.write_log holds to the first two. */
export const logLimits = { lines: 1_000, bytes: 256 * 1024, messageBytes: 8 * 1024 } as const

/** The level itself and what is graver. */
export const levelsFrom = (level: LogLevel): LogLevel[] => logLevels.slice(logLevels.indexOf(level))

const encoder = new TextEncoder()
const memory = new Uint8Array(logLimits.messageBytes)

/** The message as it can be stored: well-formed, without NUL, and no longer than a message may be. Gives its bytes too. */
export function storable(message: string): { text: string; bytes: number } {
  const text = message.toWellFormed().replaceAll('\u0000', '\uFFFD')
  const whole = encoder.encodeInto(text, memory)
  if (whole.read === text.length) return { text, bytes: whole.written }
  const part = encoder.encodeInto(text, memory.subarray(0, memory.length - encoder.encode('…').length))
  return { text: `${text.slice(0, part.read)}…`, bytes: memory.length }
}
