const mask = '•••'
/** A line of a secret of several lines that is worth hiding by itself. */
const leastLine = 8

export type Redactor = {
  /** Whatever this holds is never shown again. */
  add: (secret: unknown) => void
  redact: (text: string) => string
}

/** Replaces the values of secrets, also as they look in a URL, in JSON, in base64 and line by line. */
export function redactor(): Redactor {
  const hidden = new Set<string>()
  let longestFirst: string[] = []
  return {
    add(secret) {
      for (const value of valuesIn(secret)) for (const form of formsOf(value)) hidden.add(form)
      // One secret may hold another.
      longestFirst = [...hidden].toSorted((a, b) => b.length - a.length)
    },
    redact: (text) => longestFirst.reduce((shown, value) => shown.replaceAll(value, mask), text),
  }
}

function valuesIn(secret: unknown): string[] {
  if (typeof secret === 'string') return [secret]
  if (typeof secret === 'number') return [String(secret)]
  return typeof secret === 'object' && secret !== null ? Object.values(secret).flatMap(valuesIn) : []
}

function formsOf(value: string): string[] {
  const whole = value.toWellFormed()
  const lines = whole.split(/\r?\n/).filter((line) => line.length >= leastLine)
  return [
    whole,
    whole.trim(),
    ...lines,
    encodeURIComponent(whole),
    JSON.stringify(whole).slice(1, -1),
    base64(whole),
  ].filter((form) => form !== '')
}

const base64 = (text: string): string =>
  btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''))
