/** Turns a JSON parameter into PostgreSQL's text form, as Neon's proxy does. */
export function toPgText(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return null
  return Array.isArray(value) ? toPgArray(value) : JSON.stringify(value)
}

function toPgArray(values: readonly unknown[]): string {
  return `{${values.map(toPgElement).join(',')}}`
}

function toPgElement(value: unknown): string {
  if (value === null) return 'NULL'
  if (Array.isArray(value)) return toPgArray(value)
  const json = JSON.stringify(value)
  return typeof value === 'object' ? JSON.stringify(json) : json
}
