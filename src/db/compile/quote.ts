/** An SQL identifier, quoted. Refuses what PostgreSQL cannot hold: a NUL, nothing at all, or more than 63 bytes. */
export function quoteIdent(name: string): string {
  if (name === '' || name.includes('\0') || new TextEncoder().encode(name).length > 63) {
    throw new TypeError('not an SQL identifier')
  }
  return `"${name.replaceAll('"', '""')}"`
}
