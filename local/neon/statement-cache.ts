import type { Messages } from './messages.ts'

/** PostgreSQL plans a named statement afresh, for the parameters at hand, this many times; then it may settle. */
const freshPlans = 5
const limit = 256
const longestText = 32_768

type Entry = { name: string; uses: number; isParsed: boolean }

/**
 * Which statements one connection has parsed under a name. Neon's proxy parses every time and so always gets a plan
 * for the present parameters and statistics; a statement is parsed again before PostgreSQL would settle on a generic
 * plan, so that here plans are the same and only most of the parsing is saved.
 */
export class StatementCache {
  readonly #entries = new Map<string, Entry>()
  readonly #pending: (Entry | undefined)[] = []
  #last = 0

  /** Appends what must precede Bind, and gives the name to bind. Texts seen for the first time stay unnamed. */
  prepare(out: Messages, sql: string, parameterCount: number, mayPlanOnce: boolean): string {
    if ((parameterCount === 0 && !mayPlanOnce) || sql.length > longestText) return this.prepareUnnamed(out, sql)
    const entry = this.#entries.get(sql)
    if (!entry) {
      this.#remember(out, sql, mayPlanOnce)
      if (!mayPlanOnce) return this.prepareUnnamed(out, sql)
    }
    const known = entry ?? this.#entries.get(sql)
    if (!known) return this.prepareUnnamed(out, sql)
    if (known.isParsed && (mayPlanOnce || known.uses < freshPlans)) {
      known.uses++
      return known.name
    }
    if (known.name !== '') out.closeStatement(known.name)
    known.name = `s${++this.#last}`
    known.uses = 1
    // Taken for parsed by the statements that follow in the same message; `failed` takes it back.
    known.isParsed = true
    out.parse(known.name, sql)
    this.#pending.push(known)
    return known.name
  }

  prepareUnnamed(out: Messages, sql: string): string {
    out.parse('', sql)
    this.#pending.push(undefined)
    return ''
  }

  parseCompleted(): void {
    this.#pending.shift()
  }

  /** After an error the server skips the rest: what it had not parsed by then does not exist. */
  settle(): void {
    for (const entry of this.#pending) if (entry) entry.isParsed = false
    this.#pending.length = 0
  }

  /** The server has dropped all prepared statements. */
  clear(): void {
    this.#entries.clear()
  }

  /** Drops all, on the server too. */
  close(out: Messages): void {
    for (const { name } of this.#entries.values()) if (name !== '') out.closeStatement(name)
    this.#entries.clear()
  }

  #remember(out: Messages, sql: string, mayPlanOnce: boolean): void {
    if (this.#entries.size >= limit) {
      for (const [oldest, { name }] of this.#entries) {
        this.#entries.delete(oldest)
        if (name !== '') out.closeStatement(name)
        break
      }
    }
    this.#entries.set(sql, { name: '', uses: 0, isParsed: false })
    void mayPlanOnce
  }
}
