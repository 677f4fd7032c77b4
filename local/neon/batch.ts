import { Bytes } from './bytes.ts'
import { Failure } from './failure.ts'
import { parseColumns, writeRow, type Columns } from './json-rows.ts'

export type Statement = { sql: string; parameters: (string | null)[]; asArray: boolean }

export type Batch = {
  statements: Statement[]
  /** The command that opens the transaction; `undefined` for a single statement on its own. */
  begin: string | undefined
  rawText: boolean
}

const largestReply = 10 * 1024 * 1024

/** Commands that touch prepared statements, or may hide one that does. */
const dropsStatements = /^(PREPARE|DEALLOCATE|DISCARD|DO|CALL|EXECUTE|LOAD)\b/

/** Collects the replies to one batch and writes them as JSON while they come in. */
export class BatchReply {
  readonly out = new Bytes(4096)
  failure: Failure | undefined
  /** A command was run after which the connection's prepared statements are not to be relied on. */
  mayHavePrepared = false
  readonly #batch: Batch
  /** The statement whose reply is awaited: -1 is the BEGIN, the number of statements is the COMMIT. */
  #index: number
  #columns: Columns | undefined
  #rows = 0

  constructor(batch: Batch) {
    this.#batch = batch
    this.#index = batch.begin === undefined ? 0 : -1
    if (batch.begin !== undefined) this.out.text('{"results":[')
  }

  columns(buffer: Buffer, start: number, end: number): void {
    if (this.#index < 0) return
    this.#columns = parseColumns(buffer, start, end)
    this.#open(this.#columns.json)
  }

  row(buffer: Buffer, start: number): void {
    const statement = this.#batch.statements[this.#index]
    if (!statement || !this.#columns || this.failure) return
    if (this.#rows++ > 0) this.out.byte(0x2c)
    const style = { asArray: statement.asArray, rawText: this.#batch.rawText }
    writeRow(this.out, buffer, start, this.#columns, style)
    this.#checkSize()
  }

  complete(tag: string): void {
    const statement = this.#batch.statements[this.#index]
    if (statement && this.#index >= 0) {
      if (!this.#columns) this.#open(noColumns)
      const [command = '', ...rest] = tag.split(' ')
      const count = rest.at(-1)
      const rowCount = count !== undefined && /^\d+$/.test(count) ? count : 'null'
      this.out.text(
        `],"command":${JSON.stringify(command)},"rowCount":${rowCount},"rowAsArray":${statement.asArray}}`,
      )
      this.mayHavePrepared ||= dropsStatements.test(tag)
      this.#checkSize()
    }
    this.#columns = undefined
    this.#rows = 0
    this.#index++
  }

  json(): Buffer {
    if (this.#batch.begin !== undefined) this.out.text(']}')
    return this.out.written()
  }

  #open(fields: Buffer): void {
    if (this.#batch.begin !== undefined && this.#index > 0) this.out.byte(0x2c)
    this.out.text('{"fields":')
    this.out.bytes(fields)
    this.out.text(',"rows":[')
  }

  #checkSize(): void {
    if (this.out.length <= largestReply) return
    this.failure = new Failure(507, { message: `response is too large (max is ${largestReply} bytes)` })
  }
}

const noColumns = Buffer.from('[]')
