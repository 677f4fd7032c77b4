/** The fields of an error reply, in the names Neon gives them; missing ones are null, `code` and `severity` empty. */
export type ErrorFields = {
  message: string
  code: string
  detail: string | null
  hint: string | null
  position: string | null
  internalPosition: string | null
  internalQuery: string | null
  severity: string
  where: string | null
  table: string | null
  column: string | null
  schema: string | null
  dataType: string | null
  constraint: string | null
  file: string | null
  line: string | null
  routine: string | null
}

const nameOf: Record<string, keyof ErrorFields> = {
  S: 'severity',
  C: 'code',
  M: 'message',
  D: 'detail',
  H: 'hint',
  P: 'position',
  p: 'internalPosition',
  q: 'internalQuery',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  d: 'dataType',
  n: 'constraint',
  F: 'file',
  L: 'line',
  R: 'routine',
}

export function errorFields(known: Partial<ErrorFields> & { message: string }): ErrorFields {
  return {
    code: '',
    detail: null,
    hint: null,
    position: null,
    internalPosition: null,
    internalQuery: null,
    severity: '',
    where: null,
    table: null,
    column: null,
    schema: null,
    dataType: null,
    constraint: null,
    file: null,
    line: null,
    routine: null,
    ...known,
  }
}

/** Reads the body of an ErrorResponse: pairs of a letter and a text, ended by a zero. */
export function parseErrorResponse(buffer: Buffer, start: number): ErrorFields {
  const fields = errorFields({ message: '' })
  for (let at = start; (buffer[at] ?? 0) !== 0;) {
    const end = buffer.indexOf(0, at + 1)
    const name = nameOf[String.fromCharCode(buffer[at] ?? 0)]
    if (name) fields[name] = buffer.toString('utf8', at + 1, end)
    at = end + 1
  }
  return fields
}

/** A request that ends without a result: the HTTP status and the reply's body. */
export class Failure extends Error {
  readonly status: number
  readonly fields: ErrorFields

  constructor(status: number, fields: Partial<ErrorFields> & { message: string }) {
    super(fields.message)
    this.status = status
    this.fields = errorFields(fields)
  }
}
