import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

type Line = [table: string, key: string, value?: unknown]
type Table = Map<string, unknown>

const compactAtBytes = 32 * 1024 * 1024

/**
 * State that survives the process: keyed records in an append-only file. What one turn of the event loop changes is
 * written at once at its end, so a publish costs no write of its own; `committed` calls back after that write. It
 * outlives a killed process; the file is not forced to the disk, so it need not outlive a power cut.
 */
export class Journal {
  readonly #path: string | undefined
  readonly #tables = new Map<string, Table>()
  readonly #sources = new Map<string, () => Iterable<[string, unknown]>>()
  #file: number | undefined
  #lines: string[] = []
  #waiting: (() => void)[] = []
  #isScheduled = false
  #bytes = 0
  #compactAt = compactAtBytes

  constructor(dir: string | undefined) {
    if (dir === undefined) return
    mkdirSync(dir, { recursive: true })
    this.#path = join(dir, 'qstash.journal')
    if (existsSync(this.#path)) this.#load(readFileSync(this.#path, 'utf8'))
  }

  /** The records of a table as they were when the server last ran, oldest first. */
  read<T>(table: string): [string, T][] {
    // The file holds what `put` was given for this table by the same code.
    return [...(this.#tables.get(table) ?? [])] as [string, T][]
  }

  /** Says where a table's living records are, for when the file is written anew. */
  keep(table: string, source: () => Iterable<[string, unknown]>): void {
    this.#sources.set(table, source)
  }

  /** Call when everything has been read and every source is known. */
  open(): void {
    this.#tables.clear()
    if (this.#path !== undefined) this.#compact(this.#path)
  }

  put(table: string, key: string, value: unknown): void {
    if (this.#file !== undefined) this.#append([table, key, value])
  }

  delete(table: string, key: string): void {
    if (this.#file !== undefined) this.#append([table, key])
  }

  /** Calls back when everything put so far is written. */
  committed(callback: () => void): void {
    if (this.#lines.length === 0) callback()
    else this.#waiting.push(callback)
  }

  close(): void {
    if (this.#file === undefined) return
    this.#flush()
    closeSync(this.#file)
    this.#file = undefined
  }

  /** Forgets what is not yet written, as a killed process does. */
  kill(): void {
    this.#lines = []
    this.#waiting = []
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #append(line: Line): void {
    this.#lines.push(JSON.stringify(line))
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#isScheduled = false
    if (this.#file === undefined || this.#path === undefined) return
    if (this.#lines.length > 0) {
      this.#bytes += writeAll(this.#file, `${this.#lines.join('\n')}\n`)
      this.#lines = []
    }
    const waiting = this.#waiting
    this.#waiting = []
    for (const callback of waiting) callback()
    if (this.#bytes > this.#compactAt) this.#compact(this.#path)
  }

  #compact(path: string): void {
    const file = openSync(`${path}.new`, 'w', 0o600)
    let bytes = 0
    let lines: string[] = []
    for (const [table, source] of this.#sources) {
      for (const [key, value] of source()) {
        if (lines.push(JSON.stringify([table, key, value])) < 1_000) continue
        bytes += writeAll(file, `${lines.join('\n')}\n`)
        lines = []
      }
    }
    if (lines.length > 0) bytes += writeAll(file, `${lines.join('\n')}\n`)
    renameSync(`${path}.new`, path)
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = file
    this.#bytes = bytes
    this.#compactAt = Math.max(compactAtBytes, bytes * 3)
  }

  #load(text: string): void {
    for (const line of text.split('\n')) {
      if (line === '') continue
      let parsed: Line
      try {
        parsed = JSON.parse(line) as Line
      } catch {
        return // The last line of a process that was killed while it wrote.
      }
      const [name, key, value] = parsed
      let table = this.#tables.get(name)
      if (!table) this.#tables.set(name, (table = new Map()))
      if (value === undefined) table.delete(key)
      else table.set(key, value)
    }
  }
}

function writeAll(file: number, text: string): number {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
  return bytes.length
}
