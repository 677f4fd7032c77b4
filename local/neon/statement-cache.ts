import type { Messages } from './messages.ts'

/** PostgreSQL plans a named statement for the parameters at hand this many times; then it may settle on one plan. */
const freshPlans = 5
const mostEntries = 256
const longestText = 32_768

type Entry = { name: string; uses: number; isParsed: boolean }

/**
 * Which statements one connection has parsed under a name. Neon's proxy parses every time, and so always gets a plan
 * for the present parameters and statistics. A statement is parsed anew before PostgreSQL would settle on a generic
 * plan, and one without parameters (whose first plan would stay) is never named: plans are the same as Neon's, and
 * only most of the parsing is saved.
 */
export class StatementCache {
  readonly #entries = new Map<string, Entry>()
  /** The server answers in order: parses, and the Sync that ends each unit. */
  readonly #awaited: (Entry | 'unnamed' | 'sync')[] = []
  #last = 0

  /** Appends what must precede Bind, and gives the name to bind. A text seen for the first time stays unnamed. */
  prepare(out: Messages, sql: string, parameterCount: number): string {
    if (parameterCount === 0 || sql.length > longestText) return this.prepareUnnamed(out, sql)
    const entry = this.#entries.get(sql)
    if (!entry) {
      this.#add(out, sql)
      return this.prepareUnnamed(out, sql)
    }
    if (entry.isParsed && entry.uses < freshPlans) {
      entry.uses++
      return entry.name
    }
    return this.#parse(out, sql, entry)
  }

  /** For BEGIN, COMMIT and their like, which have no plan. */
  prepareCommand(out: Messages, sql: string): string {
    const entry = this.#entries.get(sql) ?? this.#add(out, sql)
    return entry.isParsed ? entry.name : this.#parse(out, sql, entry)
  }

  prepareUnnamed(out: Messages, sql: string): string {
    out.parse('', sql)
    this.#awaited.push('unnamed')
    return ''
  }

  parseCompleted(): void {
    this.#awaited.shift()
  }

  unitSent(): void {
    this.#awaited.push('sync')
  }

  /** After an error the server skips the rest of the unit: what it had not parsed by then does not exist. */
  unitAnswered(): void {
    for (
      let each = this.#awaited.shift();
      each !== undefined && each !== 'sync';
      each = this.#awaited.shift()
    ) {
      if (each !== 'unnamed') each.isParsed = false
    }
  }

  /** The server has dropped its prepared statements. */
  forget(): void {
    this.#entries.clear()
  }

  #parse(out: Messages, sql: string, entry: Entry): string {
    if (entry.isParsed) out.closeStatement(entry.name)
    entry.name = `s${++this.#last}`
    entry.uses = 1
    // Counts as parsed for the statements behind it in the same message; `unitAnswered` takes that back.
    entry.isParsed = true
    out.parse(entry.name, sql)
    this.#awaited.push(entry)
    return entry.name
  }

  #add(out: Messages, sql: string): Entry {
    if (this.#entries.size >= mostEntries) {
      const [oldest] = this.#entries
      if (oldest?.[1].isParsed) out.closeStatement(oldest[1].name)
      if (oldest) this.#entries.delete(oldest[0])
    }
    const entry = { name: '', uses: 0, isParsed: false }
    this.#entries.set(sql, entry)
    return entry
  }
}
