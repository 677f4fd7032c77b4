import createModule from 'libpg-query/wasm/libpg-query.js'

/** A node of PostgreSQL's raw parse tree as JSON: `{"SelectStmt": {…}}`. */
export type Tree = { stmts?: { stmt: Record<string, unknown>; stmt_location?: number; stmt_len?: number }[] }

/** `offset` counts characters of the text. */
type ParseResult = { ok: true; tree: Tree } | { ok: false; message: string; offset: number }

export type Parse = (sql: string) => Promise<ParseResult>

type Grammar = {
  HEAPU8: Uint8Array
  lengthBytesUTF8(text: string): number
  stringToUTF8(text: string, at: number, bytes: number): void
  UTF8ToString(at: number): string
  getValue(at: number, type: 'i32'): number
  _malloc(bytes: number): number
  _free(at: number): void
  _wasm_parse_query_raw(query: number): number
  _wasm_free_parse_result(result: number): void
}

const tooDeep: ParseResult = { ok: false, message: 'this is nested too deeply', offset: 0 }

/**
 * PostgreSQL's own grammar. The platform compiles the module, because workerd compiles none at run time; it is made an
 * instance of on first use.
 */
export function openGrammar(module: WebAssembly.Module): Parse {
  let opened: Promise<Grammar> | undefined
  return async (sql) => {
    opened ??= instanceOf(module)
    const grammar = await opened
    const memory = grammar.HEAPU8.length
    try {
      const parsed = parseWith(grammar, sql)
      // Memory that has grown never shrinks: the next text gets a new instance.
      if (grammar.HEAPU8.length > memory) opened = undefined
      return parsed
    } catch (error) {
      // Its stack or ours is used up: nothing can be said of what the instance holds now.
      opened = undefined
      if (error instanceof RangeError || error instanceof WebAssembly.RuntimeError) return tooDeep
      throw error
    }
  }
}

const instanceOf = (module: WebAssembly.Module): Promise<Grammar> =>
  createModule({
    instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void) {
      const instance = new WebAssembly.Instance(module, imports)
      done(instance)
      return instance.exports
    },
  }) as Promise<Grammar>

/** The result is a C struct: parse tree, captured stderr, error; the error is message, function, file, line, position. */
function parseWith(grammar: Grammar, sql: string): ParseResult {
  const bytes = grammar.lengthBytesUTF8(sql) + 1
  const query = grammar._malloc(bytes)
  if (query === 0) return { ok: false, message: 'the text is too large to parse', offset: 0 }
  grammar.stringToUTF8(sql, query, bytes)
  const result = grammar._wasm_parse_query_raw(query)
  grammar._free(query)
  if (result === 0) return { ok: false, message: 'the text is too large to parse', offset: 0 }
  const error = grammar.getValue(result + 8, 'i32')
  if (error === 0) {
    const tree = grammar.UTF8ToString(grammar.getValue(result, 'i32'))
    grammar._wasm_free_parse_result(result)
    return { ok: true, tree: JSON.parse(tree) as Tree }
  }
  const message = grammar.UTF8ToString(grammar.getValue(error, 'i32'))
  const offset = Math.max(grammar.getValue(error + 16, 'i32') - 1, 0)
  grammar._wasm_free_parse_result(result)
  if (message.startsWith('memory exhausted')) return tooDeep
  return { ok: false, message, offset }
}
